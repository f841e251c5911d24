"""What the page and its API show of one moment, as plain values, and the API's JSON.

Owns which numbers are shown: the page and `/api/status` are both made from one `View`, so they
cannot differ. Must not know where the figures come from. Nothing in it is text of a log line.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import attrs
from attrs import Factory, field, frozen

from agent.ledger.entries import digest_of
from agent.web.lastday import last_day
from agent.web.metrics import Snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.ledger.entries import Entry

PRODUCT = "botkube-analytics"
HOST = "127.0.0.1"
"""Where the page is: here alone."""
LOOK_GRACE_SECONDS = 5
NOT_READABLE, SAID_OFF = "not readable", "and said off"


@frozen
class SwitchRow:
    """A switch, what was found there, and whether that turns the agent off."""

    name: str
    value: str
    is_off: bool


@frozen
class GapRow:
    """An interval in which lines of one container could not be had."""

    reason: str
    start_seconds: int
    end_seconds: int


@frozen
class RuleRow:
    """A rule, what it counts and why, and how often it was hit since the process started."""

    id: str
    event: str
    question: str
    hits: int


def _own_arrays(report: NextReport) -> tuple[bytes, ...]:
    return report.arrays


@frozen
class NextReport:
    """The next report as it stands; mostly one array. `shown` is what is given of each."""

    start_seconds: int
    end_seconds: int
    is_sent: bool
    arrays: tuple[bytes, ...] = field(repr=False)
    shown: tuple[bytes, ...] = field(default=Factory(_own_arrays, takes_self=True), repr=False)


@frozen
class View:
    """All that is shown. Without a pipeline (it has not begun yet) most of it is empty.

    `count_from_seconds` is when what is counted begins to be sent; None: nothing is sent.
    `has_looked` is off until the cluster's switches were read once, `looked_seconds` is when they
    were last; they are looked at every `look_every_seconds`. `cannot_begin` is why there is no
    pipeline and will be none until that is mended; `is_blind` is whether the pods of a namespace
    could not be listed by one that waits for them; `owes_off` is whether a switch said off and what
    was unsent is still to be discarded. `may_send` is off while they cannot be read by one that
    would send, and `is_untold` is on while the installation cannot be read. `is_full` is whether
    what waits to be sent has used its room.
    `withheld` names the events of which the rules newly disclose something, until then not sent.
    `properties` are the names that reports can have, by event.
    """

    now_seconds: int
    version: str
    mode: str
    why: str
    switches: tuple[SwitchRow, ...] = ()
    has_looked: bool = True
    looked_seconds: int = 0
    look_every_seconds: int = 30
    cannot_begin: str = ""
    is_blind: bool = False
    owes_off: bool = False
    destination: str = ""
    promise: str = ""
    installation_id: str = ""
    cluster_id: str = ""
    stream: str = ""
    seq: int = 0
    count_from_seconds: int | None = None
    may_send: bool = True
    is_untold: bool = False
    is_full: bool = False
    withheld: tuple[str, ...] = ()
    withheld_until_seconds: int = 0
    window_seconds: int = 3600
    next: NextReport | None = None
    entries: tuple[Entry, ...] = ()
    ledger_path: str = ""
    parked: int = 0
    gaps: tuple[GapRow, ...] = ()
    rules: tuple[RuleRow, ...] = ()
    properties: Mapping[str, tuple[str, ...]] = field(factory=dict)
    figures: Snapshot = field(factory=Snapshot)

    @property
    def is_running(self) -> bool:
        """Whether there is a pipeline, which alone knows State and what is read."""
        return self.next is not None

    @property
    def is_quiet(self) -> bool:
        """Whether the mode is on and sending has not begun."""
        return self.mode == "on" and self.now_seconds < (self.count_from_seconds or 0)

    @property
    def stands_by(self) -> bool:
        """Whether another replica works, or none has to, and nothing says off."""
        return self.mode != "off" and self.figures.leads is False

    @property
    def unreadable(self) -> tuple[str, ...]:
        """The switches of which nobody knows what they say, unless another says off."""
        if self.mode == "off":
            return ()
        return tuple(one.name for one in self.switches if one.value == NOT_READABLE)

    @property
    def _stale(self) -> str:
        """Since when the cluster's switches had no answer, where nothing else shows that."""
        # Of two looks each may take as long as lies between them.
        patience = 2 * self.look_every_seconds + LOOK_GRACE_SECONDS
        if not self.looked_seconds or self.now_seconds - self.looked_seconds <= patience:
            return ""
        at = datetime.fromtimestamp(self.looked_seconds, UTC)
        return (
            f" The cluster's switches could not be read since {at:%Y-%m-%d %H:%M:%S} UTC; what "
            "they said then is shown."
        )

    @property
    def _held(self) -> str:
        """What keeps the agent off that is no longer seen."""
        if not any(one.is_off and one.value.endswith(SAID_OFF) for one in self.switches):
            return ""
        return (
            " A switch that said off and cannot be read now, or has no pod that would say it, "
            "stays off until it says otherwise or is gone, or the agent is started anew."
        )

    @property
    def _owed(self) -> str:
        """What became of what a switch that says off discards."""
        if not self.owes_off:
            return "What was unsent is discarded"
        later = "What was unsent is discarded before anything is read or sent again"
        # One that waits for its turn has nothing to begin.
        if self.figures.leads is False or not self.cannot_begin:
            return later
        return f"{later}, which cannot be done yet, because {self.cannot_begin}"

    @property
    def means(self) -> str:
        """What the mode comes to at this moment, where that is not what its word says."""
        if self.mode == "off":
            return (
                f"No log is read and nothing is sent. {self._owed}, and what BotKube writes until "
                f"it is on again is never counted.{self._held}{self._stale}"
            )
        # In mode `local` nothing would be sent anyway, so a switch does not keep it back.
        sends = self.mode == "on"
        unsent = " and nothing is sent" if sends else ""
        no_look = (
            f"The cluster's switches were not read yet; before they are, no log is read{unsent}."
        )
        if self.stands_by:
            blind = (
                " It cannot list the pods of every namespace, so a BotKube there is not seen; see "
                "`pods cannot be listed` in its log."
            ) * self.is_blind
            does, shows = ("reads and sends", "sends") if sends else ("reads", "counts")
            return (
                f"This replica stands by: it {does} nothing. One that works has a page of its own, "
                f"with what it {shows}.{blind}{self._stale if self.has_looked else f' {no_look}'}"
            )
        if not self.has_looked:
            return no_look
        if self.cannot_begin:
            first = " What was unsent when a switch said off is discarded first." * self.owes_off
            return (
                f"The agent cannot begin, because {self.cannot_begin}. It tries again, and until "
                f"it has begun, no log is read{unsent}.{first}"
            )
        if not self.may_send and sends:
            return "The cluster's switches cannot be read now, so nothing is sent until they can."
        if not self.may_send:
            return (
                "The cluster's switches cannot be read now, so what they said last holds and "
                "counting goes on."
            )
        if self.is_untold and sends:
            return (
                "Nothing is sent until the installation object can be read, in which another "
                "replica may have noted that a switch said off; the log says why it cannot."
            )
        if self.is_full:
            return (
                "What waits to be sent has filled its room, so no log is read until the "
                "destination takes some of it."
            )
        return ""


def status(view: View) -> dict[str, Any]:
    """Return the numbers of the page as JSON has them."""
    coming = view.next
    return {
        "agent": PRODUCT,
        "version": view.version,
        "now_seconds": view.now_seconds,
        "mode": view.mode,
        "why": view.why,
        "means": view.means,
        "switches": [attrs.asdict(one) for one in view.switches],
        "unreadable": list(view.unreadable),
        "looked_seconds": view.looked_seconds,
        "look_every_seconds": view.look_every_seconds,
        "destination": view.destination,
        "promise": view.promise if view.destination else "",
        "installation_id": view.installation_id,
        "cluster_id": view.cluster_id,
        "stream": view.stream,
        "seq": view.seq,
        "count_from_seconds": view.count_from_seconds,
        "withheld": list(view.withheld),
        "withheld_until_seconds": view.withheld_until_seconds,
        "window_seconds": view.window_seconds,
        "next": None
        if coming is None
        else {
            "start_seconds": coming.start_seconds,
            "end_seconds": coming.end_seconds,
            "is_sent": coming.is_sent,
            "bytes": sum(map(len, coming.shown)),
            "digests": [digest_of(one) for one in coming.shown],
        },
        "ledger": {
            "entries": len(view.entries),
            "bytes": view.figures.ledger_bytes,
            "dropped": view.figures.ledger_dropped,
            "failures": view.figures.ledger_failures,
            "path": view.ledger_path,
            "answers": Counter(str(one.answer) for one in view.entries),
        },
        "parked": view.parked,
        "last_day": {
            one.event: {"delivered": sum(one.delivered), "not_delivered": sum(one.others)}
            for one in last_day(view.entries, now_seconds=view.now_seconds)
        },
        "gaps": [attrs.asdict(one) for one in view.gaps],
        "rules": {one.id: one.hits for one in view.rules},
        "figures": attrs.asdict(view.figures),
    }
