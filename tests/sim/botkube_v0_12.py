"""BotKube v0.12.4: coloured text without fields; replies and Go panics on many raw lines.

The request is printed after the command ran, a refused webhook is followed by a false success, and
error lines about objects that are gone mean nothing.
"""

from __future__ import annotations

import random
from collections import Counter

from tests.sim import botkube as bk
from tests.sim.botkube import Action, Fact, Thing
from tests.sim.crilog import Stream
from tests.sim.gotime import seconds_stamp
from tests.sim.logrus import coloured, klog

_CHANNEL = "alerts00000000000000000000"
_UNSUPPORTED = "Command not supported. Please run /botkubehelp to see supported commands."
_REFUSED_POST = "Failed to send message. Error: : Unable to create post., "
_FILTERS = ("ImageTagChecker", "IngressValidator", "NamespaceChecker", "NodeEventsChecker")


class BotKubeV012:
    version = "v0.12.4"

    def __init__(self, rng: random.Random, *, cluster: str = "oslo") -> None:
        self._rng = rng
        self._cluster = cluster

    def start(self, at: int) -> Action:
        infos = [f"Registering the filter {name}" for name in _FILTERS]
        infos += [
            "Starting controller",
            "Starting mattermost bot",
            "BotKube connected to Mattermost!",
            "Allowed Events - map[{Resource:batch/v1/jobs Namespace:all EventType:create}:true]",
            "Allowed UpdateEvents - map[]",
            "AllowedKubectlVerbMap - map[describe:true explain:true get:true logs:true]",
            "Registering resource lifecycle informer",
            "Adding informer for resource:batch/v1/jobs",
            "Registering kubernetes events informer for types: warning ",
        ]
        lines = [coloured(at, "info", text) for text in infos]
        lines.append(self._debug(at, "Processing add to v1/serviceaccounts"))
        return self._action("start", at, lines, bk.ENABLED)

    def event(self, at: int, refusing: frozenset[str] = frozenset()) -> Action:
        thing, when = bk.some_thing(self._rng), _go_time(at)
        words = f"{thing.resource} created {thing.kind} {thing.name} {thing.namespace}"
        tail = (
            f"{{ {words} [] create   info {self._cluster}  {when} 0  false {thing.resource} [] []}}"
        )
        place = f"{thing.resource}/{thing.name} in {thing.namespace} namespaces"
        groups = [
            self._to_mattermost(at, fails="mattermost" in refusing),
            self._to_webhook(at, tail, fails="webhook" in refusing),
            self._to_elasticsearch(at, fails="elasticsearch" in refusing),
        ]
        # The platforms are told in parallel: only the lines of one platform keep their order.
        self._rng.shuffle(groups)
        lines = [
            self._debug(at, f"Processing add to {thing.resource}"),
            self._debug(at, f"Processing create to {place}"),
            self._debug(at, "Filterengine running filters"),
            self._debug(at, "Ignore Namespaces filter successful!"),
            self._debug(at, "Object annotations filter successful!"),
            coloured(at, "info", f">> Sending to Mattermost: {self._dump(thing, when)}"),
            self._debug(at, f">> Sending to ElasticSearch: {self._dump(thing, when)}"),
            *(line for group in groups for line in group),
        ]
        facts = [
            bk.failed(name, "event") if name in refusing else bk.handled(name)
            for name in bk.PLATFORMS
        ]
        return self._action("event", at, lines, *facts)

    def command(self, at: int, result: str = "ok") -> Action:
        lines = self._command(at, result)
        return self._action("command", at, lines, bk.executed("get", result))

    def refused(self, at: int) -> Action:
        words = f"annotate job {self._rng.choice(bk.NAMES)} by={self._rng.choice(bk.USERS)}"
        lines = [self._received(at, words), *self._answer(at, words, _UNSUPPORTED)]
        return self._action("refused", at, lines, bk.refused("unsupported"))

    def ignored(self, at: int) -> Action:
        words = f"version --cluster-name={self._rng.choice(bk.NAMES)}"
        dumped = f"Invalid request. Dumping the response. Request: {words}"
        lines = [
            self._received(at, words),
            *self._answer(at, words, ""),
            coloured(at, "info", dumped),
        ]
        return self._action("ignored", at, lines, bk.refused("ignored"))

    def failed_reply(self, at: int) -> Action:
        lines = [*self._command(at, "ok"), coloured(at, "error", _REFUSED_POST)]
        facts = (bk.executed("get", "ok"), bk.failed("mattermost", "reply"))
        return self._action("failed reply", at, lines, *facts)

    def noise(self, at: int) -> Action:
        thing = bk.some_thing(self._rng)
        where = f"{thing.resource}/{thing.name} in {thing.namespace} namespaces"
        dump = f'events.Event{{Code:"", Title:"{thing.resource} info", Name:"{thing.name}"}}'
        update = (
            f"Processing update to {thing.resource}\n Object: &{{Object:map[kind:{thing.kind}\n]}}"
        )
        watch = (
            "pkg/mod/k8s.io/client-go@v0.20.5/tools/cache/reflector.go:167: Failed to watch "
            "*unstructured.Unstructured: the server could not find the requested resource"
        )
        choices: list[tuple[Stream, bytes]] = [
            ("stdout", self._debug(at, f"Processing add to {thing.resource}")),
            ("stdout", self._debug(at, f"Ignoring create to {where}")),
            ("stdout", self._debug(at, f"Skipping Insignificant InfoEvent: {dump}")),
            ("stdout", self._debug(at, update)),
            ("stdout", coloured(at, "error", f'{thing.plural} "{thing.name}" not found')),
            ("stderr", klog(at, "E", "reflector.go:138", watch)),
        ]
        return Action("noise", at, (self._rng.choice(choices),), Counter())

    def panic(self, at: int) -> Action:
        """End as a bare `get` once did: a raw panic with its goroutines, exit code 2."""
        source = "github.com/infracloudio/botkube/pkg"
        text = (
            "panic: runtime error: index out of range [1] with length 1\n\n"
            "goroutine 9 [running]:\n"
            f"{source}/execute.(*DefaultExecutor).Execute(0x337ccd35fcd0)\n"
            f"\t{source}/execute/executor.go:190 +0x58a\n"
            f"{source}/bot.(*mattermostMessage).handleMessage(0x337ccd35fe10, {{0x3, 0x4}})\n"
            f"\t{source}/bot/mattermost.go:154 +0x45d\n"
            f"created by {source}/bot.(*MMBot).Start in goroutine 26\n"
            f"\t{source}/bot/mattermost.go:113 +0x387\n"
        )
        parts: tuple[tuple[Stream, bytes], ...] = (
            ("stdout", self._received(at, "get")),
            ("stderr", text.encode()),
        )
        return Action("panic", at, parts, Counter([bk.crashed("index_out_of_range")]), 2)

    def _command(self, at: int, result: str) -> list[bytes]:
        thing = bk.some_thing(self._rng)
        words = f"get {thing.plural} -n {thing.namespace}"
        rows = [f"{name:<8} Running   0/1" for name in self._rng.sample(bk.NAMES, k=3)]
        output = "\n".join(["NAME     STATUS    COMPLETIONS", *rows]) + "\n"
        steps = []
        if result == "failed":
            output = (
                f'Error from server (NotFound): {thing.plural} "{thing.name}" not found\n'
                "exit status 1"
            )
            steps = [coloured(at, "error", "Error in executing kubectl command: exit status 1")]
        reply = f"Cluster: {self._cluster}\n{output}"
        return [self._received(at, words), *steps, *self._answer(at, words, reply)]

    def _received(self, at: int, words: str) -> bytes:
        post = (
            f'{{"id": "{self._rng.getrandbits(104):026x}", "create_at": {at // 1_000_000}, '
            f'"user_id": "humanid000000000000000000a", "channel_id": "{_CHANNEL}", '
            f'"message": "@botkube {words}", "type": ""}}'
        )
        event = (
            "map[channel_display_name:alerts channel_name:alerts channel_type:O "
            f"post:{post} sender_name:@{self._rng.choice(bk.USERS)} "
            "team_id:teamid0000000000000000000a]"
        )
        return self._debug(at, f"Received mattermost event: {event}")

    def _answer(self, at: int, words: str, reply: str) -> list[bytes]:
        return [
            self._debug(at, f"Mattermost incoming Request: {words}"),
            self._debug(at, f"Mattermost Response: {reply}"),
        ]

    def _to_mattermost(self, at: int, *, fails: bool) -> list[bytes]:
        if fails:
            return [coloured(at, "error", _REFUSED_POST)]
        return [self._debug(at, f"Event successfully sent to channel {_CHANNEL}")]

    def _to_webhook(self, at: int, tail: str, *, fails: bool) -> list[bytes]:
        success = self._debug(at, f"Event successfully sent to Webhook {tail}")
        if not fails:
            return [success]
        return [
            coloured(at, "error", "Error Posting Webhook: 404"),
            self._debug(at, f"Event Not Sent to Webhook {tail}"),
            success,
        ]

    def _to_elasticsearch(self, at: int, *, fails: bool) -> list[bytes]:
        if fails:
            words = "elastic: Error 429 (Too Many Requests): failed to parse"
            text = f"Failed to post data to els. Error:{words} [type=mapper_parsing_exception]"
            return [coloured(at, "error", text)]
        index = f"ops-events-{seconds_stamp(at)[:10]}"
        return [self._debug(at, f"Event successfully sent to ElasticSearch index {index}")]

    def _dump(self, thing: Thing, when: str) -> str:
        return (
            f"{{Code: Title:{thing.resource} created Kind:{thing.kind} Name:{thing.name} "
            f"Namespace:{thing.namespace} Messages:[] Type:create Reason: Error: Level:info "
            f"Cluster:{self._cluster} Channel: TimeStamp:{when} Count:0 Action: Skip:false "
            f"Resource:{thing.resource} Recommendations:[] Warnings:[]}}"
        )

    def _debug(self, at: int, text: str) -> bytes:
        return coloured(at, "debug", text)

    def _action(self, kind: str, at: int, lines: list[bytes], *facts: Fact) -> Action:
        return Action(kind, at, (("stdout", b"".join(lines)),), Counter(facts))


def _go_time(at: int) -> str:
    return f"{seconds_stamp(at)[:-1].replace('T', ' ')} +0000 UTC"
