"""Installations that upgrade, crash, move, stop and come back, window by window.

Owns what happens in a simulated cluster and which clock its agent has. What the agent sends of it
is made by the product: `aggregate.Windows` closes each window, `reports.Origin` and
`sink.batch.build_window` make the calls. Nothing is read from a log. All chance comes from the
seed, and each installation has its own, so that one can be played without the others.
"""

from __future__ import annotations

from collections import Counter, deque
from math import exp, sqrt
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from attrs import Factory, define, evolve, field, frozen

from agent.aggregate import Instance, SeriesKey, Window, Windows
from agent.disclosure import event_names
from agent.gate import make_gate
from agent.model import CRASHED, Identity
from agent.reports import Origin
from agent.sink.batch import build_identity, build_window
from agent.withholding import Withholding
from tests.shipped import RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from agent.gate import Gate
    from agent.sink.batch import Event

T = TypeVar("T")
HOUR, DAY, WEEK = 3600, 86_400, 7 * 86_400
START = 1_788_307_200
"""2026-09-02 00:00 UTC, a Wednesday: the first week of the data is not a whole one."""
AGENT_VERSION = "1.0.0"
EVENTS = event_names(RULES)
RELEASES = tuple(RULES.vocabularies["releases"].words)
SHOWN_AT_INFO = frozenset(RELEASES[: RELEASES.index("v0.13.0")])
"""Those of which Mattermost's events are told at any level."""
BOTS, SINKS = RULES.bots, RULES.sinks
UNDECLARED = "zulip"
"""A word that no rule declares: the gate refuses an event that says it."""
READ_AGAIN_SECONDS = 6 * HOUR
"""How far back logs are read again at most."""
GAPS = ("rotated", "overtaken", "backpressure", "restarted", "unreadable", "pod_gone")

COMMANDS = ("get", "kubectl get", "describe", "logs", "kubectl logs", "ping", "help", "list", "top")
REASONS = ("channel_not_found", "not_in_channel", "rate_limited", "server_error", "unreachable")
KINDS = ("panic", "configuration", "oom", "unknown", "nil_pointer", "connection")
FAULTY = (("invalid_credentials", "Token"), ("wrong_type", "Channels"), ("warning", "none"))
DISTRIBUTIONS = {
    "eks": 27, "gke": 18, "aks": 16, "k3s": 12, "openshift": 6, "rke2": 5, "kind": 4, "other": 4,
    None: 8,
}  # fmt: skip
"""How many of a hundred clusters; None says nothing of itself."""
MINORS = {"1.28": 3, "1.29": 6, "1.30": 11, "1.31": 20, "1.32": 24, "1.33": 20, "1.34": 9, None: 7}
CHATS = dict(zip(BOTS, (8, 40, 8, 13, 12, 6, 13), strict=True))
VERSIONS = {**{name: 0.8**age for age, name in enumerate(reversed(RELEASES))}, "other": 0.1}
"""Half of all run one of the latest three or four; the old ones are a long tail."""

# By hour of the local day, times a weekend's quiet.
_LOAD = [0.3 + (1.7 if 8 <= hour < 19 else 0.0) for hour in range(24)]
_ZIPF = [1 / rank for rank in range(1, len(COMMANDS) + 1)]


@frozen
class Said:
    """One counted event as it was sent."""

    event: str
    version: str
    properties: dict[str, Any]
    count: int
    is_floor: bool


@define
class Sent:
    """One window of one stream as it was sent, and what its Collection report says.

    `calls` are the product's: identity calls first, then one for each of `facts`, then the report.
    `closed_seconds` is the true time at which it was made, `skew_seconds` how far the agent's clock
    was ahead then.
    """

    installation: str
    stream: str
    seq: int
    start: int
    end: int
    facts: list[Said]
    version: str | None
    is_observable: bool | None
    enabled: dict[str, bool]
    gaps: dict[str, int]
    kubernetes_minor: str | None
    distribution: str | None
    withheld: frozenset[str]
    discarded: int
    late: Counter[SeriesKey]
    """What of `facts` happened in the window before."""
    hidden: Counter[SeriesKey] | None
    """What happened beside `facts`, and was not written, not read or not to be told; None where a
    window is sent once more."""
    group: tuple[int, str] | None
    """The cluster that a `group` call in front names, and the day of which it says so."""
    identity_calls: int
    calls: list[Event]
    closed_seconds: int
    skew_seconds: int


@frozen
class Backup:
    """A state as it stood before a window, and what was counted in that window then."""

    seq: int
    totals: Counter[str]
    start: int
    counts: Counter[SeriesKey]


@define
class Lane:
    """One state object: a lineage of counts, and the BotKube pods whose logs it reads."""

    stream: str
    windows: Windows
    instances: list[Instance] = field(factory=list)
    seq: int = 0
    totals: Counter[str] = field(factory=Counter)
    backups: deque[Backup] = Factory(lambda: deque(maxlen=3))
    again: list[Backup] = field(factory=list)
    """Windows that were sent and will be once more."""
    is_left: bool = False
    late: Counter[SeriesKey] = field(factory=Counter)
    """What of the window that is open is of the one before it."""
    state_lost: int = 0
    """For how many seconds of the window that is open its state was lost."""


@define
class Setting:
    """What a fleet is made with. `trouble` scales how often anything goes wrong."""

    seed: int
    days: int
    window_seconds: int = HOUR
    start: int = START
    trouble: float = 1.0
    debug_share: float = 0.45
    """How many log at debug, where alone events and commands show."""
    is_exact: bool = True
    """Whether the product's gate looks at each event; else a stand-in that knows what is wrong."""

    def gate(self) -> Gate:
        if self.is_exact:
            return make_gate(RULES, agent_version=AGENT_VERSION)
        return lambda call: "platform" if call["properties"].get("platform") == UNDECLARED else None


@define
class Installation:
    """One installation with its cluster, its BotKube pods and its agent."""

    index: int
    setting: Setting
    gate: Gate
    met: Counter[str]
    """How often what happened, over the whole fleet."""
    rng: Random
    late_rng: Random
    identity: Identity
    seconds: int
    at: int
    """Where the next window begins, by the agent's clock."""
    skew: int
    load: float
    commands: float
    zone: int
    minimum: int
    slots: int
    bots: tuple[str, ...]
    sinks: tuple[str, ...]
    version: str
    is_debug: bool
    ends: int
    lanes: list[Lane] = field(factory=list)
    withholding: Withholding = field(factory=Withholding)
    stop_until: int = 0
    """Until when, by the agent's clock, it is scaled to zero."""
    stop_from: int = 0
    off_until: int = 0
    ahead: int = 0
    """By how much its clock is wrong beyond all reason, and until when by itself."""
    absurd_until: int = 0
    told: tuple[Identity | None, int] = (None, 0)
    origin: Origin | None = None

    # --- what is there ----------------------------------------------------------------------------

    @classmethod
    def make(cls, index: int, setting: Setting, gate: Gate, met: Counter[str]) -> Installation:
        rng = Random(f"{setting.seed}/{index}")
        seconds = setting.window_seconds
        days = setting.days
        begins = 0 if rng.random() < 0.6 else rng.randrange(days * DAY)
        if index == 5 or rng.random() < 0.03:
            seconds = DAY
        elif index == 7:
            # Twelve times as many events: one of them, for a while, is enough.
            seconds, begins = 300, days * DAY * 3 // 4
        begins -= begins % seconds
        bots = tuple(sorted({pick(rng, CHATS) for _ in range(rng.choice((1, 1, 1, 2)))}))
        sinks = tuple(sorted(rng.sample(SINKS, rng.choice((0, 0, 1, 2)))))
        return cls(
            index=index,
            setting=setting,
            gate=gate,
            met=met,
            rng=rng,
            late_rng=Random(f"{setting.seed}/{index}/late"),
            identity=Identity(
                uuid(rng),
                uuid(rng) if rng.random() < 0.8 else None,
                pick(rng, MINORS),
                pick(rng, DISTRIBUTIONS),
            ),
            seconds=seconds,
            at=setting.start + begins,
            skew=rng.randrange(-600, 600) if rng.random() < 0.3 else 0,
            # One large installation outweighs a thousand small ones.
            load=min(2000.0, 0.4 * rng.paretovariate(0.8)),
            commands=min(20.0, 0.05 * rng.paretovariate(0.9)),
            zone=rng.randrange(-11, 13),
            minimum=5 if rng.random() < 0.08 else 0,
            slots=rng.choice((2, 3)) if rng.random() < 0.12 else 1,
            bots=bots,
            sinks=sinks,
            version=pick(rng, VERSIONS),
            is_debug=rng.random() < setting.debug_share,
            ends=setting.start + days * DAY,
        )

    def _begin(self) -> None:
        """Find the BotKube pods that are there: some started long before the agent came."""
        pods = 2 if self.slots > 1 and self.rng.random() < 0.4 else 1
        self.lanes = [self._lane() for _ in range(pods)]
        for lane in self.lanes:
            lane.instances = [self._pod(is_seen=self.rng.random() < 0.6)]

    def _lane(self) -> Lane:
        return Lane(uuid(self.rng), Windows(self.seconds))

    def _pod(self, *, is_seen: bool = True) -> Instance:
        """Return a container instance as the agent knows it at its start or when it is found."""
        one = Instance(version=self.version)
        if is_seen:
            one.started = True
            one.bots = set(self.bots)
            # The first debug entry can come later than the start does.
            one.debug = self.is_debug and self.rng.random() < 0.95
        return one

    # --- what happens -----------------------------------------------------------------------------

    def advance(self, until: int) -> Iterator[Sent]:
        """Yield what is sent before a true time, in the order in which it is made."""
        while self.at + self.seconds - self.skew + 120 <= until and not self._is_over():
            start, self.at = self.at, self.at + self.seconds
            if start < self.off_until:
                continue
            if not self.lanes:
                self._begin()
            restarts = self._happen(start)
            for lane in list(self.lanes):
                yield from self._read_again(lane)
                sent = self._close(lane, start, restarts)
                if sent is not None:
                    yield sent
            self.lanes = [one for one in self.lanes if not one.is_left or one.instances]

    def _is_over(self) -> bool:
        return self.at - self.ahead >= self.ends

    def _chance(self, hours: float) -> bool:
        """Whether something happens in this window that happens every so many hours."""
        return self.rng.random() * hours < self.setting.trouble * self.seconds / HOUR

    def _happen(self, start: int) -> list[tuple[Lane, Instance]]:
        """Let happen what happens in a window; return the instances that crash in it."""
        if self.ahead:
            if start >= self.absurd_until:
                # The clock was put right; the state of a future that never was is thrown away.
                self.at -= self.ahead
                self.skew -= self.ahead
                self.ahead, self.lanes = 0, []
            return []
        if self._chance(_HOURS):
            pick(self.rng, _TROUBLES)(self, start)
        return self._restarts()

    def _lose_state(self, _start: int) -> None:
        self.met["state lost"] += 1
        lane = self.rng.choice(self.lanes)
        fresh = self._lane()
        fresh.state_lost = self.rng.randrange(60, self.seconds + 1)
        is_seen = self.rng.random() < 0.5
        fresh.instances = [self._pod(is_seen=is_seen) for _ in lane.instances[-1:]]
        self.lanes[self.lanes.index(lane)] = fresh

    def _begin_anew(self, _start: int) -> None:
        self.met["new installation id"] += 1
        self.identity = evolve(self.identity, installation_id=uuid(self.rng))
        self.told = (None, 0)
        self._begin()

    def _opt_out(self, start: int) -> None:
        self.met["opted out"] += 1
        away = self.rng.randrange(2 * DAY, 20 * DAY)
        away //= self.late_rng.choice((1, 24))
        self.off_until = start + self.seconds + away - away % self.seconds
        # What was not sent is discarded; a new stream begins when it is on again.
        self.lanes = []

    def _withhold_some(self, start: int) -> None:
        self.met["withheld"] += 1
        series = (("Command executed", "command", "get"), ("Event handled", "platform", "webhook"))
        self.withholding = Withholding({self.rng.choice(series): start + DAY})

    def _move(self, _start: int) -> None:
        """Let the state be carried over to another cluster."""
        self.met["moved to another cluster"] += 1
        self.identity = evolve(self.identity, cluster_id=uuid(self.rng))

    def _upgrade_kubernetes(self, _start: int) -> None:
        minor = self.rng.choice(("1.33", "1.34"))
        self.identity = evolve(self.identity, kubernetes_minor=minor)

    def _upgrade(self, _start: int) -> None:
        self.met["upgraded"] += 1
        place = RELEASES.index(self.version) if self.version in RELEASES else -1
        # Most go to the newest; who is there already only changes a setting.
        self.version = self.rng.choice((*RELEASES[place:][:6], RELEASES[-1], RELEASES[-1]))
        if self.rng.random() < 0.3:
            self.met["level changed"] += 1
            self.is_debug = not self.is_debug
        if self.rng.random() < 0.2:
            self.bots = (pick(self.rng, CHATS),)
        for lane in self.lanes:
            self._replace(lane)

    def _replace(self, lane: Lane) -> None:
        """Let the pod of a lane end and another start, on another node if there are more."""
        for one in lane.instances:
            if one.ended_seconds is None:
                one.ended_seconds = self.at - self.rng.randrange(1, self.seconds)
        target = lane
        if self.slots > 1 and self.rng.random() < 0.5:
            self.met["moved to another slot"] += 1
            target = self._lane()
            self.lanes.append(target)
            lane.is_left = True
        target.instances.append(self._pod())

    def _stop(self, start: int) -> None:
        if start < self.stop_until:
            return
        self.met["scaled to zero"] += 1
        self.stop_from = start + self.rng.randrange(self.seconds)
        self.stop_until = self.stop_from + int(1200 * 2 ** self.rng.uniform(0, 8.5))

    def _restore(self, _start: int) -> None:
        """Let somebody put an older state in place of the present one."""
        lane = self.rng.choice(self.lanes)
        if len(lane.backups) < 3:
            return
        oldest = lane.backups[0]
        lane.seq, lane.totals = oldest.seq, oldest.totals
        if self.rng.random() < 0.5 and oldest.start >= self.at - READ_AGAIN_SECONDS:
            # The logs are still there, from the restored cursors on.
            self.met["restored state, read again"] += 1
            lane.again = list(lane.backups)
        else:
            self.met["restored state"] += 1
        lane.backups.clear()

    def _lose_time(self, start: int) -> None:
        """Set the clock ahead by weeks or years; the state is lost with it."""
        self.met["absurd clock"] += 1
        self.ahead = self.rng.randrange(40, 700) * DAY
        self.skew += self.ahead
        self.at += self.ahead
        self.absurd_until = start + self.ahead + max(2 * self.seconds, 30 * HOUR)
        self.lanes = []

    def _restarts(self) -> list[tuple[Lane, Instance]]:
        crashed = []
        for lane in list(self.lanes):
            alive = [one for one in lane.instances if one.ended_seconds is None]
            hours = 60 if self.version in {"v1.13.0", "v0.13.0"} else 400
            if alive and self._chance(hours):
                self.met["crashed"] += 1
                crashed.append((lane, alive[-1]))
                self._replace(lane)
        return crashed

    # --- what is sent -----------------------------------------------------------------------------

    def _close(self, lane: Lane, start: int, crashed: list[tuple[Lane, Instance]]) -> Sent | None:
        end = start + self.seconds
        window = lane.windows.open[start] = Window()
        stopped = min(end, self.stop_until) - max(start, self.stop_from)
        if stopped >= self.seconds:
            del lane.windows.open[start]
            return None
        if stopped > 0:
            window.gaps["stopped"] = stopped
        self._tear(lane, window)
        share = max(0.0, 1 - sum(window.gaps.values()) / self.seconds)
        # As `reports.present` has it: what ended before the window is not there.
        lane.instances = [
            one for one in lane.instances if one.ended_seconds is None or one.ended_seconds >= start
        ]
        counts, hidden = window.counts, Counter[SeriesKey]()
        for one in lane.instances:
            part = self.seconds / HOUR / len(lane.instances)
            self._happen_in(counts, hidden, one, start, hours=part * share)
            if share < 1:
                # What is in a gap happens, too; nobody hears of it.
                self._happen_in(hidden, hidden, one, start, hours=part * (1 - share))
        for place, one in crashed:
            if place is lane:
                kind = self.rng.choice(KINDS)
                counts[CRASHED, one.version, (("kind", kind),)] += 1
        self._withhold(counts, hidden, start)
        self._count_late(lane, window)
        if self._chance(1000):
            self.met["discarded"] += 1
            counts["Event handled", self.version, (("platform", UNDECLARED),)] += 2
        window.matched = counts.total()
        window.lines = 3 * window.matched + 1
        return self._send(lane, start, hidden)

    def _count_late(self, lane: Lane, window: Window) -> None:
        """Let something of the window before be counted in this one."""
        lane.late = Counter()
        hours = self.seconds / HOUR
        if (
            self.late_rng.random() * 900 < self.setting.trouble * hours
            and lane.seq
            and window.counts
        ):
            self.met["counted late"] += 1
            key = self.late_rng.choice(list(window.counts))
            lane.late[key] = window.late = self.late_rng.randint(1, window.counts[key])

    def _read_again(self, lane: Lane) -> Iterator[Sent]:
        """Send windows once more, with what can still be read of them."""
        again, lane.again, lane.late = lane.again, [], Counter()
        is_all = self.rng.random() < 0.5
        for one in again:
            window = lane.windows.open[one.start] = Window(Counter(one.counts))
            if not is_all:
                window.gaps["rotated"] = self.rng.randrange(60, self.seconds)
                for key, count in one.counts.items():
                    window.counts[key] = self.rng.randrange(count + 1)
                window.counts += Counter()
            yield self._send(lane, one.start, None)

    def _tear(self, lane: Lane, window: Window) -> None:
        """Let parts of a window be unreadable."""
        if lane.state_lost:
            window.gaps["state_lost"], lane.state_lost = lane.state_lost, 0
        if self._chance(150):
            reason = self.rng.choice(GAPS)
            self.met[f"gap {reason}"] += 1
            window.gaps[reason] = self.rng.randrange(1, self.seconds)

    def _withhold(self, counts: Counter[SeriesKey], hidden: Counter[SeriesKey], start: int) -> None:
        if self.withholding.latest > start:
            for event, version, properties in list(counts):
                if self.withholding.of(event, properties) > start:
                    hidden[event, version, properties] += counts.pop((event, version, properties))

    def _happen_in(
        self,
        seen: Counter[SeriesKey],
        hidden: Counter[SeriesKey],
        pod: Instance,
        start: int,
        *,
        hours: float,
    ) -> None:
        """Let one BotKube do what it does in so many hours; only some of it is written and read."""
        rng, version = self.rng, pod.version
        if hours <= 0:
            return
        local = start // HOUR + self.zone
        level = _LOAD[local % 24] if self.seconds <= HOUR else 1.0
        if local // 24 % 7 in {2, 3}:  # 1970 began with a Thursday
            level *= 0.4
        if self.is_debug and seen is not hidden and not pod.debug and rng.random() < 0.8:
            pod.debug = True
        at_debug = seen if pod.debug else hidden
        for platform in (*self.bots, *self.sinks):
            happened = poisson(rng, self.load * level * hours)
            if not happened:
                continue
            failed = min(happened, poisson(rng, happened * 0.01))
            if happened > failed:
                is_told = platform == "mattermost" and version in SHOWN_AT_INFO
                counts = seen if is_told else at_debug
                counts["Event handled", version, (("platform", platform),)] += happened - failed
                if counts is not hidden:
                    (pod.sinks if platform in SINKS else pod.bots).add(platform)
            if failed:
                properties = (
                    ("platform", platform if rng.random() < 0.95 else "unknown"),
                    ("reason", rng.choice(REASONS)),
                    ("what", "event" if rng.random() < 0.8 else "reply"),
                )
                seen["Notification failed", version, properties] += failed
        if asked := poisson(rng, self.commands * level * hours):
            for command in rng.choices(COMMANDS, _ZIPF, k=min(asked, 40)):
                properties = (
                    ("command", command),
                    ("platform", self.bots[0]),
                    ("result", "failed" if rng.random() < 0.1 else "ok"),
                )
                at_debug["Command executed", version, properties] += 1
        self._happen_rarely(seen, at_debug, version, hours)

    def _happen_rarely(
        self,
        seen: Counter[SeriesKey],
        at_debug: Counter[SeriesKey],
        version: str,
        hours: float,
    ) -> None:
        rng = self.rng
        rare = rng.random() / hours
        if rare < 0.02:
            reason, at = rng.choice(FAULTY)
            where = (("platform", rng.choice(BOTS)),) if rng.random() < 0.5 else ()
            seen["Configuration error", version, (("field", at), *where, ("reason", reason))] += 1
        elif rare < 0.03:
            asked_for = (("platform", self.bots[0]), ("reason", "unsupported"))
            at_debug["Command refused", version, asked_for] += 1
        elif rare < 0.04:
            seen["Integration enabled", version, (("platform", self.bots[0]), ("type", "bot"))] += 1

    def _send(self, lane: Lane, start: int, hidden: Counter[SeriesKey] | None) -> Sent:
        instances = lane.instances
        identity = self.identity
        origin = self.origin
        if origin is None or (origin.identity, origin.withholding) != (identity, self.withholding):
            origin = self.origin = Origin(
                identity, RULES, AGENT_VERSION, self.gate, self.minimum, self.withholding
            )
        window = lane.windows.open[start]
        report = lane.windows.close(start, instances, bots=BOTS, sinks=SINKS)
        end = report.end_seconds
        lane.backups.append(Backup(lane.seq, lane.totals, start, window.counts))
        lane.seq += 1
        calls, lane.totals = build_window(
            origin.without_withheld(report),
            identity=origin.known_at(start),
            stream=lane.stream,
            seq=lane.seq,
            totals=lane.totals,
            events=EVENTS,
            gate=self.gate,
            minimum=self.minimum,
            agent_version=AGENT_VERSION,
            rules_digest=RULES.digest,
        )
        facts, discarded, admitted = [], 0, []
        for aggregate, call in zip(report.aggregates, calls, strict=False):
            if ("platform", UNDECLARED) in aggregate.properties:
                discarded += 1
                continue
            admitted.append(call)
            facts.append(
                Said(
                    aggregate.event,
                    aggregate.botkube_version,
                    dict(aggregate.properties),
                    max(aggregate.count, self.minimum),
                    aggregate.count < self.minimum,
                )
            )
        if any(one.is_floor for one in facts):
            self.met["count floor"] += 1
        told = self._tell(self.at)
        levels = {one.level for one in instances}
        versions = {one.version for one in instances}
        return Sent(
            installation=identity.installation_id,
            stream=lane.stream,
            seq=lane.seq,
            start=start,
            end=end,
            facts=facts,
            version=(versions.pop() if len(versions) == 1 else "several") if versions else None,
            is_observable=None if not levels or "unknown" in levels else levels == {"debug"},
            enabled=_enabled(instances),
            gaps={name: -(-value // 60) * 60 for name, value in window.gaps.items()},
            kubernetes_minor=identity.kubernetes_minor,
            distribution=identity.distribution,
            withheld=frozenset(self.withholding.events(start)),
            discarded=discarded,
            late=lane.late,
            hidden=hidden,
            group=(self.at // DAY, identity.cluster_id) if told and identity.cluster_id else None,
            identity_calls=len(told),
            calls=[*told, *admitted, calls[-1]],
            closed_seconds=self.at - self.skew + self.rng.randrange(5, 115),
            skew_seconds=self.skew,
        )

    def _tell(self, now: int) -> list[Event]:
        """Return the identity calls that are due, on change and once a day."""
        told, at = self.told
        if told == self.identity and now - at < DAY:
            return []
        self.told = (self.identity, now)
        return build_identity(self.identity, agent_version=AGENT_VERSION, at_seconds=now)


_TROUBLES: dict[Callable[[Installation, int], None], float] = {
    Installation._upgrade: 1 / 900,
    Installation._upgrade_kubernetes: 1 / 2500,
    Installation._stop: 1 / 700,
    Installation._lose_state: 1 / 1500,
    Installation._begin_anew: 1 / 3000,
    Installation._restore: 1 / 2500,
    Installation._move: 1 / 3000,
    Installation._opt_out: 1 / 4000,
    Installation._lose_time: 1 / 5000,
    Installation._withhold_some: 1 / 3000,
}
"""How often what happens to an installation, by the hour."""
_HOURS = 1 / sum(_TROUBLES.values())


def uuid(rng: Random) -> str:
    return str(UUID(int=rng.getrandbits(128), version=4))


def pick(rng: Random, weights: Mapping[T, float]) -> T:
    return rng.choices(tuple(weights), tuple(weights.values()))[0]


def poisson(rng: Random, mean: float) -> int:
    if mean > 30:
        return max(0, round(rng.gauss(mean, sqrt(mean))))
    left, found = rng.random(), 0
    floor = exp(-mean)
    while left > floor:
        left *= rng.random()
        found += 1
    return found


def _enabled(instances: list[Instance]) -> dict[str, bool]:
    """Return which platforms are known to be on or off: a sink is never known to be off."""
    is_known = bool(instances) and all(one.started for one in instances)
    found = dict.fromkeys(BOTS, False) if is_known else {}
    for one in instances:
        found |= dict.fromkeys(one.bots | one.sinks, True)
    return found
