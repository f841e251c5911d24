"""BotKube v0.18.0: logfmt, one physical line an entry; failures of events come from the controller.

The request comes first, then its steps and the reply, which alone tells that a command was refused
or failed. The final panic is a fatal entry that holds the whole stack.
"""

from __future__ import annotations

import random
from collections import Counter

from tests.sim import botkube as bk
from tests.sim.botkube import Action, Fact, Thing
from tests.sim.crilog import Stream
from tests.sim.gotime import seconds_stamp
from tests.sim.logrus import klog, logfmt

_CHANNEL = "alerts00000000000000000000"
_BOT = {"bot": "Mattermost", "commGroup": "default-group"}
_ELASTICSEARCH = {"commGroup": "default-group", "sink": "Elasticsearch"}
_WEBHOOK = {"commGroup": "default-group", "sink": "Webhook"}
_CONTROLLER = {"component": "Controller"}
_CLIENT_CONFIG = (
    "Neither --kubeconfig nor --master was specified.  Using the inClusterConfig.  "
    "This might not work."
)
_MAPPER = "failed to parse [type=mapper_parsing_exception]"
_FAILURES = {
    "mattermost": (
        "while sending event: 1 error occurred:\n\t* while posting message to channel "
        f'"{_CHANNEL}": : Unable to create post., '
    ),
    "webhook": "while sending event: while sending event to webhook: Error Posting Webhook: 404",
    "elasticsearch": (
        "while sending event: 1 error occurred:\n\t* while sending event to Elasticsearch index "
        f'"ops-events": while posting data to ELS: elastic: Error 403 (Forbidden): {_MAPPER}'
    ),
}


class BotKubeV018:
    version = "v0.18.0"

    def __init__(self, rng: random.Random, *, cluster: str = "porto") -> None:
        self._rng = rng
        self._cluster = cluster

    def start(self, at: int) -> Action:
        filters = {"component": "Filter Engine"}
        annotations = 'Registering filter "ObjectAnnotationChecker" (enabled: true)...'
        metrics = {"component": "Metrics server"}
        welcome = f"My watch begins for cluster '{self._cluster}'! :crossed_swords:\n"
        first = logfmt(at, "info", "Analytics disabled via configuration settings.")
        lines = [
            logfmt(at, "info", annotations, filters),
            logfmt(at, "info", 'Starting server on address ":2112"', metrics),
            logfmt(at, "debug", "Loaded resource mapping: {kindResourceMap:map[pod:pods]}"),
            logfmt(at, "info", "Starting bot", _BOT),
            logfmt(at, "info", "Botkube connected to Mattermost!", _BOT),
            logfmt(at, "info", "Starting controller...", _CONTROLLER),
            logfmt(at, "info", "Sending welcome message...", _CONTROLLER),
            logfmt(at, "debug", f'Sending message to channel "{_CHANNEL}": {welcome}', _BOT),
            logfmt(at, "debug", f'Message successfully sent to channel "{_CHANNEL}"', _BOT),
        ]
        parts: tuple[tuple[Stream, bytes], ...] = (
            ("stdout", first),
            ("stderr", klog(at, "W", "client_config.go:617", _CLIENT_CONFIG)),
            ("stdout", b"".join(lines)),
        )
        return Action("start", at, parts, Counter([bk.ENABLED]))

    def event(self, at: int, refusing: frozenset[str] = frozenset()) -> Action:
        thing = bk.some_thing(self._rng)
        dump = self._dump(thing, at)
        index = f"ops-events-{seconds_stamp(at)[:10]}"
        sent = "Event successfully sent to"
        delivered = {
            "mattermost": [logfmt(at, "debug", f'{sent} channel "{_CHANNEL}"', _BOT)],
            "webhook": [logfmt(at, "debug", f"{sent} Webhook: {dump}", _WEBHOOK)],
            "elasticsearch": [
                logfmt(at, "debug", f"{sent} Elasticsearch index {index}", _ELASTICSEARCH),
                logfmt(at, "debug", f'{sent} Elasticsearch index "ops-events"', _ELASTICSEARCH),
            ],
        }
        order = self._rng.sample(bk.PLATFORMS, k=len(bk.PLATFORMS))
        results = [
            [logfmt(at, "error", _FAILURES[name], _CONTROLLER)]
            if name in refusing
            else delivered[name]
            for name in order
        ]
        place = f"{thing.resource}/{thing.name} in {thing.namespace} namespace"
        annotations = "Object annotations filter successful!"
        lines = [
            self._handling(at, thing),
            logfmt(at, "debug", f"Processing create to {place}", _CONTROLLER),
            self._filter(at, "Running registered filters"),
            logfmt(at, "debug", annotations, {"filter": "Object Annotation Checker"}),
            logfmt(at, "debug", f"Sending to Mattermost: {dump}", _BOT),
            logfmt(at, "debug", f">> Sending to Elasticsearch: {dump}", _ELASTICSEARCH),
            *(line for group in results for line in group),
        ]
        facts = [
            bk.failed(name, "event") if name in refusing else bk.handled(name)
            for name in bk.PLATFORMS
        ]
        return self._action("event", at, lines, *facts)

    def command(self, at: int, result: str = "ok") -> Action:
        lines = self._command(at, result)
        return self._action("command", at, lines, bk.executed("kubectl get", result))

    def refused(self, at: int) -> Action:
        if self._rng.random() < 0.5:
            words = f"kubectl patch deploy {self._rng.choice(bk.NAMES)} -p x"
            reply = "Command not supported. Please use 'help' to see supported commands."
            lines = [*self._request(at, words), self._response(at, words, reply)]
            return self._action("refused", at, lines, bk.refused("unsupported"))
        words = "kubectl get leases"
        reply = (
            "Sorry, the kubectl command is not authorized to work with 'leases' resources in the "
            f"'{self._rng.choice(bk.NAMESPACES)}' Namespace on cluster '{self._cluster}'. "
            "Use 'commands list' to see allowed commands."
        )
        lines = [
            *self._request(at, words),
            self._handling_command(at, words),
            self._response(at, words, reply),
        ]
        return self._action("refused", at, lines, bk.refused("not_allowed"))

    def ignored(self, at: int) -> Action:
        other = self._rng.choice(bk.NAMES)
        fields = {
            "command-cluster-name": other,
            "component": "Executor",
            "config-cluster-name": self._cluster,
        }
        skipped = "Specified cluster name doesn't match ours. Ignoring further execution..."
        empty = "while handling message: while sending message: while reading Mattermost response"
        nothing = "Mattermost Response: { {  { }} [] [] %!s(bool=false) %!s(bool=false)}"
        lines = [
            *self._request(at, f"kubectl get deploy --cluster-name={other}"),
            logfmt(at, "debug", skipped, fields),
            logfmt(at, "debug", nothing, _BOT),
            logfmt(at, "error", f"{empty}: empty response", _BOT),
        ]
        return self._action("ignored", at, lines, bk.refused("ignored"))

    def failed_reply(self, at: int) -> Action:
        post = "Failed to send message. Error: : Unable to create post., "
        lines = [*self._command(at, "ok"), logfmt(at, "error", post, _BOT)]
        facts = (bk.executed("kubectl get", "ok"), bk.failed("mattermost", "reply"))
        return self._action("failed reply", at, lines, *facts)

    def noise(self, at: int) -> Action:
        thing = bk.some_thing(self._rng)
        candidates = {"component": "Router"}
        recommendation = {"component": "Recommendations"}
        ran = 'ran filter name: "NodeEventsChecker", event was skipped: false'
        choices: list[tuple[Stream, bytes]] = [
            ("stdout", self._handling(at, thing)),
            ("stdout", logfmt(at, "debug", "Skipping older events", _CONTROLLER)),
            (
                "stdout",
                logfmt(at, "debug", "qualifySourcesForUpdate source candidates: []", candidates),
            ),
            ("stdout", self._filter(at, "Running registered filters")),
            (
                "stdout",
                logfmt(at, "debug", 'Running recommendation "PodLabelsSet"...', recommendation),
            ),
            ("stdout", self._filter(at, ran)),
            ("stderr", klog(at, "W", "client_config.go:617", _CLIENT_CONFIG)),
        ]
        return Action("noise", at, (self._rng.choice(choices),), Counter())

    def panic(self, at: int) -> Action:
        """End in a guarded goroutine: the stack stands quoted in one fatal entry, exit code 1."""
        stack = (
            "panic: send on closed channel\n\ngoroutine 478 [running]:\nruntime/debug.Stack()\n"
            "\truntime/debug/stack.go:24 +0x65\n"
            "github.com/kubeshop/botkube/internal/analytics.ReportPanicIfOccurs()\n"
            "\tgithub.com/kubeshop/botkube/internal/analytics/report_panic.go:46 +0x7a\n"
        )
        line = logfmt(at, "fatal", stack, {"commGroup": "default-group"})
        return Action("panic", at, (("stdout", line),), Counter([bk.crashed("closed_channel")]), 1)

    def _command(self, at: int, result: str) -> list[bytes]:
        thing = bk.some_thing(self._rng)
        words = f"kubectl get {thing.plural} -n {thing.namespace}"
        reply = "NAME   READY   AGE\n" + "".join(
            f"{name}   1/1   {self._rng.randrange(90)}m\n"
            for name in self._rng.sample(bk.NAMES, k=3)
        )
        if result == "failed":
            reply = (
                f'Error from server (NotFound): {thing.plural} "{thing.name}" not found\n'
                "exit status 1"
            )
        return [
            *self._request(at, words),
            self._handling_command(at, words),
            self._response(at, words, reply),
        ]

    def _request(self, at: int, words: str) -> list[bytes]:
        fields = {"component": "Executor", "expandedRawCmd": words, "rawCmd": words}
        return [
            logfmt(at, "debug", f"Mattermost incoming Request:  {words}", _BOT),
            logfmt(at, "debug", "Expanding aliases from command...", fields),
        ]

    def _handling_command(self, at: int, words: str) -> bytes:
        fields = {"command": words, "component": "Kubectl Executor", "isAuthChannel": True}
        return logfmt(at, "debug", "Handling command...", fields)

    def _response(self, at: int, words: str, reply: str) -> bytes:
        text = (
            f"Mattermost Response: {{ {{ `{words}` on `{self._cluster}` {{{reply} }}}} [] [] "
            "%!s(bool=false) %!s(bool=false)}"
        )
        return logfmt(at, "debug", text, _BOT)

    def _filter(self, at: int, text: str) -> bytes:
        return logfmt(at, "debug", text, {"component": "Filter Engine"})

    def _handling(self, at: int, thing: Thing) -> bytes:
        event = (
            f"{{{{{thing.kind} {thing.api_version}}} {{{thing.name}  {thing.namespace}   10710 0 "
            f"{seconds_stamp(at)} map[app:{thing.name}] map[] [] []}} {thing.resource} created"
        )
        return logfmt(at, "debug", "handling event", {"component": "Router", "event": event})

    def _dump(self, thing: Thing, at: int) -> str:
        return (
            f"{{TypeMeta:{{Kind:{thing.kind} APIVersion:{thing.api_version}}} "
            f"ObjectMeta:{{Name:{thing.name} GenerateName: Namespace:{thing.namespace} "
            "Labels:map[] Annotations:map[] OwnerReferences:[] Finalizers:[] ManagedFields:[]} "
            f"Code: Title:{thing.resource} created Name:{thing.name} Namespace:{thing.namespace} "
            f"Messages:[] Type:create Reason: Error: Level:info Cluster:{self._cluster} Channel: "
            f"TimeStamp:{seconds_stamp(at)} Count:0 Action: Skip:false Resource:{thing.resource} "
            "Object:0x3a2e58ba4280 Recommendations:[] Warnings:[] Actions:[]}"
        )

    def _action(self, kind: str, at: int, lines: list[bytes], *facts: Fact) -> Action:
        return Action(kind, at, (("stdout", b"".join(lines)),), Counter(facts))
