"""What is kept -> ok, warn or fail: State, its slots, the installation and the Lease. Pure.

Of ids that stand there only the first characters are shown.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from attrs import frozen

from agent.doctor.verdicts import HOME, Line, Refusal, Verdict
from agent.state.document import FORMAT_VERSION, Document, DocumentError, NewerFormat, decode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WARN_SHARE = 0.8
LONG_WAITING_SECONDS = 6 * 3600
FUTURE_SECONDS = 60
QUIET_WRITES_SECONDS = 1800
"""Beside two windows: an agent that works has written by then."""

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@frozen
class Kept:
    """One object as it was found: its bytes, None if there are none, or why it has no answer.

    `emptying` is the command that takes its data away, and leaves the object; `fix` is what to do
    about a trouble of which more is known than that it is one.
    """

    where: str
    data: bytes | None = None
    exists: bool = False
    trouble: str = ""
    emptying: str = ""
    fix: str = ""


@frozen
class Limits:
    """What State is held against. `may_create`: what is not there, an agent may make.

    `looked` are namespaces that were looked into in vain, by a doctor that runs elsewhere.
    """

    now_seconds: int
    window_seconds: int
    outbox_bytes: int
    object_bytes: int | None = None
    held_seconds: int = 0
    may_create: bool = True
    looked: tuple[str, ...] = ()


@frozen
class Trouble:
    """Why the installation cannot be read, and what to do about it."""

    says: str
    fix: str


APPLY = "apply the manifest that has it, or allow `create configmaps`, then start the agent"

_SEE = "see the line of the installation"

Finding = tuple[Verdict, str, str]


def read(kept: Kept) -> Document | None:
    """Return the document, if one can be read there."""
    try:
        return decode(kept.data) if kept.data is not None else None
    except DocumentError:
        return None


def of_state(kept: Kept, limits: Limits, *, known_commits: int, check: str = "state") -> Line:
    """Judge one State object."""
    if kept.trouble:
        fix = _SEE if limits.looked else "see the rights, and whether it is there"
        return Line(check, Verdict.FAIL, kept.trouble, kept.fix or fix)
    if kept.data is None:
        if limits.looked and not kept.exists:
            return Line(check, Verdict.WARN, f"{kept.where} is not there", _SEE)
        what = "exists and is empty" if kept.exists else "is not there"
        says = f"{kept.where} {what}: no agent has committed"
        if known_commits:
            fix = "was it deleted? counting begins anew, with gap `state_lost`"
            return Line(check, Verdict.FAIL, f"{says} here since, and one had before", fix)
        if not kept.exists and not limits.may_create:
            return Line(check, Verdict.FAIL, f"{kept.where} {what}, and may not be made", APPLY)
        fix = "start the agent" if kept.exists else "start the agent, which makes it if it may"
        return Line(check, Verdict.WARN, says, fix)
    try:
        document = decode(kept.data)
    except NewerFormat:
        says = f"{kept.where} has a newer format than {FORMAT_VERSION}, which this release reads"
        fix = f"use the release that wrote it, or begin anew: {kept.emptying}"
        return Line(check, Verdict.FAIL, says, fix)
    except DocumentError:
        says = f"{kept.where} cannot be read as State"
        fix = "put back the newest copy, or start the agent: counting begins anew (`state_lost`)"
        return Line(check, Verdict.FAIL, says, fix)
    found = _findings(document, kept, limits, known_commits)
    return _line(check, f"{kept.where}: {_facts(document, len(kept.data), limits)}", found)


def _facts(document: Document, size: int, limits: Limits) -> str:
    share = f" ({100 * size // limits.object_bytes} % of its limit)" if limits.object_bytes else ""
    return (
        f"format {FORMAT_VERSION}, {size} bytes{share}, written "
        f"{_ago(limits.now_seconds - document.saved_seconds)}, epoch {short(document.epoch)}, "
        f"{len(document.cursors)} containers, {len(document.outbox)} batches waiting "
        f"({document.outbox_bytes} bytes), {document.parked} parked"
    )


def _findings(document: Document, kept: Kept, limits: Limits, known_commits: int) -> list[Finding]:
    size = len(kept.data or b"")
    age = limits.now_seconds - document.saved_seconds
    usual = 2 * limits.window_seconds + QUIET_WRITES_SECONDS
    found: list[Finding] = []
    if document.commits < known_commits:
        fix = "do not put old copies back; counting begins anew (`state_lost`)"
        found.append((Verdict.FAIL, "an older copy than the installation knows of", fix))
    if limits.object_bytes and size > limits.object_bytes:
        fix = f"it cannot be written any more; begin anew: {kept.emptying}"
        found.append((Verdict.FAIL, "larger than its limit", fix))
    elif limits.object_bytes and size > WARN_SHARE * limits.object_bytes:
        found.append((Verdict.WARN, "near its limit", "see why batches wait, or use a file"))
    if document.outbox_bytes > WARN_SHARE * limits.outbox_bytes:
        fix = "let the destination be reached; reading waits when the outbox is full"
        found.append((Verdict.WARN, "the outbox is nearly full", fix))
    waits = [limits.now_seconds - one.sealed_seconds for one in document.outbox]
    if max(waits, default=0) > LONG_WAITING_SECONDS:
        fix = "see the line of the destination, and `batch not accepted` in the log"
        found.append((Verdict.WARN, f"a batch has waited for {_span(max(waits))}", fix))
    if document.parked:
        fix = "see `ledger` for what the destination refused"
        found.append((Verdict.WARN, "batches were refused for good", fix))
    if document.stopped_seconds is not None:
        gone = limits.now_seconds - document.stopped_seconds
        says = f"stopped in order {_ago(gone)}, and no agent has written since"
        fix = "start the agent, or see why one that runs cannot begin: its log says it"
        found.append((Verdict.WARN, says, fix))
    elif age < -FUTURE_SECONDS:
        found.append((Verdict.WARN, "written in the future", "see the line of the clock"))
    elif age > usual:
        fix = "see whether the agent runs, and its log"
        found.append((Verdict.WARN, "not written for longer than usual", fix))
    return found


def _line(check: str, facts: str, found: Sequence[Finding]) -> Line:
    order = list(Verdict)
    verdict = max((one[0] for one in found), key=order.index, default=Verdict.OK)
    says = "; ".join([facts, *(what for _, what, _ in found)])
    return Line(check, verdict, says, "; ".join(fix for _, _, fix in found))


def of_slots(slots: Sequence[Kept], limits: Limits, known: Callable[[int], int]) -> list[Line]:
    """Judge the slots: one line for all, and one for each that is in use or has something wrong."""
    if limits.looked and not any(one.exists or one.trouble for one in slots):
        return [Line("slots", Verdict.WARN, f"{slots[0].where} is not there, nor another", _SEE)]
    lines, held, left, empty, broken = [], 0, 0, 0, 0
    for index, kept in enumerate(slots):
        document = read(kept)
        if document is None and not kept.trouble and kept.data is None and not known(index):
            empty += kept.exists
            if not kept.exists:
                broken += 1
                fix = "apply as many ConfigMaps as `state.slots` says, and name them in the Role"
                lines.append(Line(f"slot {index}", Verdict.FAIL, f"{kept.where} is not there", fix))
            continue
        line = of_state(kept, limits, known_commits=known(index), check=f"slot {index}")
        if document is None:
            lines.append(line)
            broken += 1
            continue
        is_held = limits.now_seconds < document.saved_seconds + limits.held_seconds
        if document.holder and is_held:
            held += 1
        elif document.cursors or document.windows.open or document.outbox:
            left += 1
        else:
            # Given back in order: nothing is to be written there.
            empty += 1
            continue
        lines.append(line)
    says = f"{len(slots)} slots: {held} held, {left} left or waiting to be taken over, {empty} free"
    if broken:
        says += f", {broken} missing or not readable"
    if broken == len(slots):
        return [Line("slots", Verdict.FAIL, says, "see the line of each slot"), *lines]
    if held + broken == len(slots):
        fix = "raise `state.slots`, with ConfigMaps and Role, if a replica waits for one"
        return [Line("slots", Verdict.WARN, says, fix), *lines]
    return [Line("slots", Verdict.OK, says), *lines]


def of_installation(
    found: tuple[int, bool] | Trouble,
    where: str,
    limits: Limits,
    *,
    quiet_seconds: int,
    exists: bool = True,
    was_started: bool = False,
) -> Line:
    """Judge the installation object: (first start, whether there is one), or what is wrong.

    `was_started` says that State was written, so that there was an id once.
    """
    check = "installation"
    looked = f"; it may be in any of {', '.join(limits.looked)}" if limits.looked else ""
    if isinstance(found, Trouble):
        fix = f"{HOME}, or {found.fix}" if looked else found.fix
        return Line(check, Verdict.FAIL, f"{found.says}{looked}", fix)
    first_seconds, is_there = found
    if looked:
        fix = f"{HOME}, if one was started"
        return Line(check, Verdict.WARN, f"{where} is not there{looked}", fix)
    if not is_there:
        if not exists and not limits.may_create:
            return Line(check, Verdict.FAIL, f"{where} is not there, and may not be made", APPLY)
        if was_started:
            says = f"{where} has no id, though State was written: it was deleted, or off until now"
            fix = "start the agent anew, which chooses a new id; to keep the old, put it back first"
            return Line(check, Verdict.WARN, says, fix)
        says = f"{where} has no id yet: no agent was started that was not off"
        return Line(check, Verdict.WARN, says, "start the agent")
    says = f"{where} has its id since {_span(limits.now_seconds - first_seconds)}"
    left = first_seconds + quiet_seconds - limits.now_seconds
    if left > 0:
        says += f"; nothing is sent for another {_span(left)} (privacy.quiet_period_seconds)"
    return Line(check, Verdict.OK, says)


@frozen
class LeaseFound:
    """A Lease as somebody sees it who only looks."""

    holder: str
    renewed_seconds: float | None
    duration_seconds: int


_LEASE_FIXES = {403: "allow `get` on it", 404: "apply the manifest that has it"}


def of_lease(found: LeaseFound | Refusal, where: str, *, now_seconds: float) -> Line:
    """Judge the Lease; its times are its holder's, so a wrong clock makes them wrong."""
    check = "lease"
    if isinstance(found, Refusal):
        # Without an answer the reason may be the name of an error, which tells its reader nothing.
        is_said = bool(found.status) or " " in found.word
        why = str(found) if is_said else "no answer that can be used"
        fix = _LEASE_FIXES.get(found.status, "see the API server's line, and ask again")
        return Line(check, Verdict.FAIL, f"{where} cannot be read: {why}", fix)
    if not found.holder:
        fix = "see whether a replica runs, and `lease cannot be used` in its log"
        return Line(check, Verdict.WARN, f"{where} has no holder: no replica leads", fix)
    if found.renewed_seconds is None:
        fix = "let nothing else write this Lease"
        return Line(check, Verdict.FAIL, f"{where} says no time of renewal", fix)
    age = now_seconds - found.renewed_seconds
    says = f"{where} is held by {short(found.holder)}, renewed {_ago(age)}"
    if age > found.duration_seconds:
        fix = "see whether a replica runs; another one takes over after its duration"
        return Line(check, Verdict.WARN, f"{says}: it has run out", fix)
    if age < -FUTURE_SECONDS:
        return Line(
            check, Verdict.WARN, says, "see the line of the clock, on the holder's node too"
        )
    return Line(check, Verdict.OK, says)


def short(found: str) -> str:
    """Return the beginning of an id of ours; another text is not repeated."""
    return found[:8] if _ID.fullmatch(found) else "another"


def _ago(seconds: float) -> str:
    return f"{_span(seconds)} ago" if seconds >= 0 else f"{_span(-seconds)} ahead"


def _span(seconds: float) -> str:
    for size, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"
