"""BotKube v1.14.0 as its chart configures it: JSON, one object a line.

Mattermost says "successfully sent" whether the post was refused or not, and an event differs from a
reply only in the type within the message; klog and raw Go panics stand between the JSON lines.
"""

from __future__ import annotations

import random
from collections import Counter

from tests.sim import botkube as bk
from tests.sim.botkube import Action, Fact, Thing
from tests.sim.crilog import Stream
from tests.sim.gotime import seconds_stamp
from tests.sim.logrus import as_json, coloured, klog

_CHANNEL = "alerts00000000000000000000"
_BOT = {"bot": "Mattermost", "commGroup": "default-group"}
_ELASTICSEARCH = {"commGroup": "default-group", "sink": "Elasticsearch"}
_WEBHOOK = {"commGroup": "default-group", "sink": "Webhook"}
_EXECUTOR = {"component": "Executor"}
_MANAGER = {"component": "Plugin Manager"}
_EVENT = "nonInteractiveEventSingleSection"
_REST = (
    "Neither --kubeconfig nor --master was specified.  Using the inClusterConfig.  "
    "This might not work."
)
_FAILURES = {
    "webhook": "while sending sink message: while sending message to webhook: "
    "Error Posting Webhook: 503",
    "elasticsearch": "while sending sink message: 1 error occurred:\n\t* while sending event to "
    'Elasticsearch index "ops-events": while posting data to ELS: elastic: Error 429 '
    "(Too Many Requests): failed to parse [type=mapper_parsing_exception]",
}


class BotKubeV114:
    version = "v1.14.0"

    def __init__(self, rng: random.Random, *, cluster: str = "turin") -> None:
        self._rng = rng
        self._cluster = cluster

    def start(self, at: int) -> Action:
        first = as_json(at, "info", "Analytics disabled via configuration settings.")
        enabled = {"groupName": "kubectl-read", "pluginKey": "botkube/kubectl"}
        streaming = {"pluginName": "botkube/kubernetes", "sourceName": "cluster-watch"}
        manager = {**_MANAGER, "enabledExecutors": "botkube/kubectl"}
        welcome = f"My watch begins for cluster '{self._cluster}'! :crossed_swords:"
        controller = {"component": "Controller"}
        lines = [
            as_json(at, "debug", "Marking executor plugin as enabled", enabled),
            as_json(at, "info", "Starting Plugin Manager for all enabled plugins", manager),
            as_json(at, "info", "Starting bot", _BOT),
            as_json(at, "info", "Botkube connected to Mattermost!", _BOT),
            as_json(at, "info", "Starting mattermost message processor...", _BOT),
            as_json(at, "info", "Start source streaming...", streaming),
            as_json(at, "info", "Starting controller...", controller),
            as_json(at, "info", "Sending welcome message...", controller),
            *self._post(at, self._body(plaintext=welcome), refused=False),
            self._from_plugin(at, "Registering informers..."),
        ]
        parts: tuple[tuple[Stream, bytes], ...] = (
            ("stdout", first),
            ("stderr", klog(at, "W", "rest.go:17", _REST)),
            ("stdout", b"".join(lines)),
        )
        return Action("start", at, parts, Counter([bk.ENABLED]))

    def event(self, at: int, refusing: frozenset[str] = frozenset()) -> Action:
        thing = bk.some_thing(self._rng)
        dump = self._dump(thing, at)
        sending, *posted = self._post(
            at, self._event_body(thing, at), refused="mattermost" in refusing
        )
        index = f"ops-events-{seconds_stamp(at)[:10]}"
        sent = "Event successfully sent to Elasticsearch index"
        webhook = f"Message successfully sent to Webhook: {dump}"
        groups = {
            "mattermost": posted,
            "webhook": [as_json(at, "debug", webhook, _WEBHOOK)],
            "elasticsearch": [
                as_json(at, "debug", f"{sent} {index}", _ELASTICSEARCH),
                as_json(at, "debug", f'{sent} "ops-events"', _ELASTICSEARCH),
            ],
        }
        groups |= {
            name: [as_json(at, "error", text)]
            for name, text in _FAILURES.items()
            if name in refusing
        }
        order = self._rng.sample(bk.PLATFORMS, k=len(bk.PLATFORMS))
        lines = [
            self._dispatching(at, thing),
            sending,
            as_json(at, "debug", f">> Sending to Elasticsearch: {dump}", _ELASTICSEARCH),
            *(line for name in order for line in groups[name]),
        ]
        facts = [
            bk.failed(name, "event") if name in refusing else bk.handled(name)
            for name in bk.PLATFORMS
        ]
        return self._action("event", at, lines, *facts)

    def command(self, at: int, result: str = "ok") -> Action:
        lines = self._command(at, result, refused=False)
        return self._action("command", at, lines, bk.executed("kubectl get", result))

    def refused(self, at: int) -> Action:
        if self._rng.random() < 0.5:
            words, what = f"list {self._rng.choice(bk.NAMES)}s", "resource"
            reply = "error: unknown option\nusage: {{BotName}} list [feature]"
        else:
            words, what = f"please feed the {self._rng.choice(bk.NAMES)}", "command"
            reply = "Command not supported. Please use 'help' to see supported commands."
        lines = [
            *self._request(at, words),
            as_json(at, "info", f'received unsupported {what}: "{words}"', _EXECUTOR),
            *self._post(at, self._body(words=words, code=reply), refused=False),
        ]
        return self._action("refused", at, lines, bk.refused("unsupported"))

    def ignored(self, at: int) -> Action:
        other = self._rng.choice(bk.NAMES)
        fields = {
            **_EXECUTOR,
            "command-cluster-name": other,
            "config-cluster-name": self._cluster,
        }
        skipped = "Specified cluster name doesn't match ours. Ignoring further execution..."
        empty = {
            **_BOT,
            "error": "while sending message: while formatting message: "
            "while reading Mattermost response: empty response",
        }
        lines = [
            *self._request(at, f"kubectl get svc --cluster-name={other}"),
            as_json(at, "debug", skipped, fields),
            self._post(at, self._body(), refused=False)[0],
            as_json(at, "error", "Failed to handle Mattermost message", empty),
        ]
        return self._action("ignored", at, lines, bk.refused("ignored"))

    def failed_reply(self, at: int) -> Action:
        lines = self._command(at, "ok", refused=True)
        facts = (bk.executed("kubectl get", "ok"), bk.failed("mattermost", "reply"))
        return self._action("failed reply", at, lines, *facts)

    def noise(self, at: int) -> Action:
        thing = bk.some_thing(self._rng)
        missing = f'{thing.plural} "{thing.name}" not found'
        insights = "Remote config is not enabled, skipping k8s insights collection..."
        responding = 'Plugin "botkube/kubernetes" is responding.'
        stdout = {"logger": "stdout", "plugin": "botkube/kubernetes"}
        quoted = coloured(at, "debug", f"Processing create to {thing.resource}/{thing.name}")
        choices: list[tuple[Stream, bytes]] = [
            ("stdout", as_json(at, "debug", responding, _MANAGER)),
            ("stdout", as_json(at, "debug", insights)),
            ("stdout", as_json(at, "debug", quoted.decode().rstrip("\n"), stdout)),
            ("stdout", self._from_plugin(at, f"Ignoring {thing.resource}/{thing.name}")),
            ("stdout", self._from_plugin(at, missing, level="error")),
            ("stderr", klog(at, "W", "rest.go:17", _REST)),
        ]
        return Action("noise", at, (self._rng.choice(choices),), Counter())

    def panic(self, at: int) -> Action:
        """End by the runtime itself: raw lines on stderr among the JSON, exit code 2."""
        source = "github.com/kubeshop/botkube"
        text = (
            "fatal error: concurrent map writes\n\n"
            "goroutine 214 [running]:\n"
            f"{source}/internal/source.(*Dispatcher).dispatchMsg(0xc000a4e000, {{0x2a5e, 0x1}})\n"
            f"\t{source}/internal/source/dispatcher.go:135 +0x2d4\n"
            f"created by {source}/internal/source.(*Dispatcher).Dispatch in goroutine 1\n"
            f"\t{source}/internal/source/dispatcher.go:88 +0x1c5\n\n"
            "goroutine 1 [chan receive]:\n"
            f"{source}/pkg/controller.(*Controller).Start(0x9ced53b5248, {{0x2a5eab0, 0x2}})\n"
            f"\t{source}/pkg/controller/controller.go:52 +0x366\n"
            "main.main()\n"
            f"\t{source}/cmd/botkube-agent/main.go:70 +0x39\n"
        )
        part: tuple[Stream, bytes] = ("stderr", text.encode())
        return Action("panic", at, (part,), Counter([bk.crashed("concurrent_map")]), 2)

    def _command(self, at: int, result: str, *, refused: bool) -> list[bytes]:
        thing = bk.some_thing(self._rng)
        words = f"kubectl get {thing.plural} -n {thing.namespace}"
        reply = "NAME   READY   AGE\n" + "".join(
            f"{name}   1/1   {self._rng.randrange(90)}m\n"
            for name in self._rng.sample(bk.NAMES, k=3)
        )
        if result == "failed":
            reply = (
                f'Error from server (NotFound): {thing.plural} "{thing.name}" not found\n\n'
                "exit status 1"
            )
        component = "Botkube Plugin Executor"
        fields = {"bindings": ["kubectl-read"], "command": words, "component": component}
        config = {"component": component, "input": {"Channel": "alerts"}}
        return [
            *self._request(at, words),
            as_json(at, "debug", "Handling plugin command...", fields),
            as_json(at, "debug", "Generating Kubeconfig...", config),
            *self._post(at, self._body(words=words, code=reply), refused=refused),
        ]

    def _request(self, at: int, words: str) -> list[bytes]:
        fields = {**_EXECUTOR, "expandedRawCmd": words, "rawCmd": words}
        return [
            as_json(at, "debug", f"Mattermost incoming Request:  {words}", _BOT),
            as_json(at, "debug", "Expanding aliases from command...", fields),
        ]

    def _post(self, at: int, body: str, *, refused: bool) -> list[bytes]:
        """Send to the channel; the success is printed in both cases."""
        failure = "Failed to send message. Error: : Unable to create post."
        return [
            as_json(at, "debug", f'Sending message to channel "{_CHANNEL}": {body}', _BOT),
            *([as_json(at, "error", failure, _BOT)] if refused else []),
            as_json(at, "debug", f'Message successfully sent to channel "{_CHANNEL}"', _BOT),
        ]

    def _body(self, *, words: str = "", code: str = "", plaintext: str = "") -> str:
        description = f"`{words}` on `{self._cluster}`" if words else ""
        return (
            f"{{Header: Description:{description} Metadata:<nil> Messages:[] Message:{{Type: "
            f"BaseBody:{{CodeBlock:{code} Plaintext:{plaintext}}} "
            "Timestamp:0001-01-01 00:00:00 +0000 UTC Sections:[] PlaintextInputs:[] "
            "OnlyVisibleForYou:false ReplaceOriginal:false UserHandle: ParentActivityID:}}"
        )

    def _event_body(self, thing: Thing, at: int) -> str:
        when = seconds_stamp(at)[:-1].replace("T", " ")
        return (
            f"{{Header: Description: Metadata:<nil> Messages:[] Message:{{Type:{_EVENT} "
            f"BaseBody:{{CodeBlock: Plaintext:}} Timestamp:{when} +0000 UTC "
            f"Sections:[{{Style:{{Divider:}} Base:{{Header:\U0001f7e2 {thing.resource} created "
            "Description: Body:{CodeBlock: Plaintext:}} Buttons:[] "
            f"TextFields:[{{Key:Kind Value:{thing.kind}}} {{Key:Name Value:{thing.name}}} "
            f"{{Key:Namespace Value:{thing.namespace}}} {{Key:Cluster Value:{self._cluster}}}] "
            "BulletLists:[] Context:[]}] PlaintextInputs:[] OnlyVisibleForYou:false "
            "ReplaceOriginal:false UserHandle: ParentActivityID:}}"
        )

    def _dispatching(self, at: int, thing: Thing) -> bytes:
        message = {
            "Message": {"type": _EVENT, "baseBody": {}, "timestamp": seconds_stamp(at)},
            "RawObject": {
                "APIVersion": thing.api_version,
                "Cluster": self._cluster,
                "Kind": thing.kind,
                "Level": "success",
                "Name": thing.name,
                "Namespace": thing.namespace,
                "Title": f"{thing.resource} created",
                "Type": "create",
            },
        }
        fields = {
            "message": message,
            "pluginName": "botkube/kubernetes",
            "sourceName": "cluster-watch",
        }
        return as_json(at, "debug", "Dispatching received message...", fields)

    def _dump(self, thing: Thing, at: int) -> str:
        return (
            f"map[APIVersion:{thing.api_version} Action: Cluster:{self._cluster} Count:0 "
            f"Kind:{thing.kind} Level:success Messages:<nil> Name:{thing.name} "
            f"Namespace:{thing.namespace} Reason: Recommendations:<nil> "
            f"Resource:{thing.resource} TimeStamp:{seconds_stamp(at)} "
            f"Title:{thing.resource} created Type:create Warnings:<nil>]"
        )

    def _from_plugin(self, at: int, text: str, *, level: str = "info") -> bytes:
        """Pass on a plugin's stderr, which is level error whatever it says."""
        inner = coloured(at, level, text, {"id": 1}).decode().rstrip("\n")
        fields = {"logger": "stderr", "plugin": "botkube/kubernetes"}
        return as_json(at, "error", inner, fields)

    def _action(self, kind: str, at: int, lines: list[bytes], *facts: Fact) -> Action:
        return Action(kind, at, (("stdout", b"".join(lines)),), Counter(facts))
