"""Sentences on who is there, with which versions, and which could be dropped. Pure.

A sentence is made of what may be told alone. What is withheld is said to be, or left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from agent.statistics.answers import WITHHELD, Active, Row, Told
from agent.statistics.periods import (
    DROPPABLE,
    Period,
    between,
    by_key,
    change,
    figure,
    hides_unknown,
    is_number,
    not_known,
    number,
    of_known,
    of_week,
    or_older,
    percent,
    version_order,
    with_absent,
)
from agent.statistics.shown import Pair, is_known, is_together
from agent.statistics.wording import (
    MAX_NAMES,
    NOBODY,
    SO_FEW,
    TOO_FEW,
    first_few,
    hidden,
    is_any_withheld,
    listing,
    many_of,
    more_or_fewer,
    most_of,
    nothing,
    share_of,
    the_most_common,
    told_of,
    whose,
)


def active(rows: Sequence[Active], period: Period) -> str:
    """Say how many there were, and how that has changed."""
    now = next(iter(of_week(rows, period.this)), None)
    if now is None or now.installations is WITHHELD:
        return SO_FEW
    if not now.installations:
        return NOBODY
    said = many_of(now.installations, "installation")
    if isinstance(now.clusters, int) and now.clusters:
        said += f", naming {many_of(now.clusters, 'cluster')},"
    said += f" reported in the week of {period.this}"
    before = next(iter(of_week(rows, period.before)), None)
    if before is not None and before.week in period.empty:
        # Who is new, or was away, nobody can tell.
        return f"{said}; in the week before nobody did."
    if before is not None and is_number(before.installations):
        more = int(figure(now.installations) - figure(before.installations))
        why = period.why(before.week)
        said += f"; {more_or_fewer(more)} than" if more else "; as many as"
        said += f" the week before{f' ({why})' if why else ''}"
    changes = {
        "new": now.installations_new,
        "back again": now.installations_returned,
        "gone": now.installations_gone,
    }
    moved = [f"{number(value)} {what}" for what, value in changes.items() if is_number(value)]
    untold = [what for what, value in changes.items() if value is WITHHELD]
    if all(one.week >= period.this for one in rows):
        return f"{said}."  # in the first week all are new
    names = " or ".join(filter(None, (", ".join(untold[:-1]), *untold[-1:])))
    unsaid = f"how many are {names} is withheld" if untold else ""
    told = "; ".join(filter(None, (", ".join(moved), unsaid)))
    return f"{said} ({told})." if told else f"{said}."


def adoption(rows: Sequence[Row], period: Period, what: str) -> str:
    """Say what most have, and how many numbers are withheld."""
    return _most_common(rows, period, what) + hidden(of_week(rows, period.this))


def _most_common(rows: Sequence[Row], period: Period, what: str) -> str:
    week = of_week(rows, period.this)
    if not week:
        return nothing(period, "distributions")
    now = told_of(of_known(week, week))
    if not now:
        return TOO_FEW if is_any_withheld(week, "installations") else "It is known of none."
    most, *others = most_of(now)
    were = with_absent(of_week(rows, period.before), week)
    before = by_key(of_known(were, week)).get(most.key)
    share, was = share_of(most), share_of(before) if before else None
    common = the_most_common(most, week)
    if others:
        names = [str(one.key[0]) for one in (most, *others)]
        said = f"{common} are {what} {listing(first_few(names))}: {percent(share)} each"
    else:
        said = f"{common} is {what} {most.key[0]}: {percent(share)}"
    if hides_unknown(week):
        said += " of all installations"
    elif not_known(week):
        said += " of those of which it is known"
    if is_number(was) and not others:
        said += f", {_against(change(share, was), period)}"
    return f"{said}."


def _against(points: str, period: Period) -> str:
    """Say a difference, and why the week before is not to be compared with."""
    why = period.why(period.before) if period.before else ""
    return f"{points} points against the week before{f' ({why})' if why else ''}"


def droppable(rows: Sequence[Row], period: Period, active: Active | None, what: str) -> str:
    """Say how many would be left behind if the oldest were dropped."""
    everyone, went = (active.installations, active.installations_gone) if active else (None, None)
    now = sorted(of_week(rows, period.this), key=lambda one: version_order(one.key[0]))
    named = [
        (one, bounds)
        for one, bounds in zip(now, or_older(now, everyone), strict=True)
        if bounds is not None
    ]
    exact = [(one, bounds) for one, bounds in named if bounds[0] == bounds[1]]
    told_ones = [pair for pair in named if is_number(pair[0].installations)]
    most = [pair for pair in told_ones if pair[1][1] <= DROPPABLE][-1:]
    chosen = (
        [pair for pair in named if pair in exact or pair in most]
        if len(exact) > 1
        else told_ones or named
    )
    # Of older ones it is withheld how many have them: the first and the last could be dropped, too.
    older = list(takewhile(lambda pair: pair not in chosen, named))
    chosen = [*older[:1], *older[1:][-1:], *chosen]
    # That all but the newest are older tells nothing.
    steps = [(one.key[0], bounds) for one, bounds in _steps(chosen) if bounds[0] < 1]
    gone = _no_longer(now, rows, period, went)
    if not steps:
        return gone
    of = whose(now)
    (oldest, bounds), *others = steps
    told = [
        f"{between(bounds)} are on {what} {oldest} or older",
        *(f"{between(bounds)} on {version} or older" for version, bounds in others),
    ]
    said = f"{of[0].upper()}{of[1:]}, {'; '.join(told)}."
    return " ".join(filter(None, (said, _without_order(now), gone)))


def _steps(
    chosen: Sequence[tuple[Row, tuple[float, float]]],
) -> Sequence[tuple[Row, tuple[float, float]]]:
    """Return a few of the oldest, up to the most that could be dropped."""
    could_be = [pair for pair in chosen if pair[1][1] <= DROPPABLE]
    if len(could_be) <= MAX_NAMES:
        return chosen[:MAX_NAMES]
    last = len(could_be) - 1
    return [could_be[last * step // (MAX_NAMES - 1)] for step in range(MAX_NAMES)]


def _without_order(now: Sequence[Row]) -> str:
    """Say how many have a version that is neither older nor newer, such as `other`."""
    those = [one for one in of_known(now, now) if version_order(one.key[0])[0] > 0]
    if not those:
        return ""
    names = listing(first_few([one.key[0] for one in those]))
    are, them = ("is", "it") if len(those) == 1 else ("are", "them")
    if is_any_withheld(those, "installations"):
        return (
            f"In none of these {are} {names}, which can be older; how many have {them} is withheld."
        )
    share = sum(figure(share_of(one)) for one in those)
    return f"In none of these {are} {names} ({percent(share)}), which can be older."


def _no_longer(now: Sequence[Row], rows: Sequence[Row], period: Period, gone: Told) -> str:
    """Say which versions somebody had at the end of the week before and nobody has at that of this.

    Not where one of the two is not whole or little observed, nor of as few as were not heard of in
    this one, or do not tell their version any more: they may have it still.
    """
    if period.before is None or period.note(period.this) or period.note(period.before):
        return ""
    before = of_week(rows, period.before)
    if not is_number(gone) or hides_unknown(now) or hides_unknown(before):
        return ""
    unheard = figure(gone) + max(0, not_known(now) - not_known(before))
    have = {one.key for one in now}
    names = sorted(
        (
            one.key[0]
            for one in before
            if is_known(one) and one.key not in have
            if not unheard or figure(one.installations) > unheard
        ),
        key=version_order,
    )
    if not names:
        return ""
    return f"At the end of the week before, and not of this one: {listing(first_few(names))}."


def pairs(rows: Sequence[Pair], period: Period) -> str:
    """Say which pair most have, of all, and what those on the oldest minors run.

    Which are known is not told of all that is put together.
    """
    week = of_week(rows, period.this)
    now = [one for one in told_of(week) if is_known(one) and not any(map(is_together, one.key))]
    if not now:
        return TOO_FEW if is_any_withheld(week, "installations") else "It is known of none."
    most, *others = most_of(now)
    before = by_key(of_week(rows, period.before)).get(most.key)
    is_grouped = any(is_together(word) for one in week for word in one.key)
    common = "Of those told apart, the most common" if is_grouped else the_most_common(most, week)
    names = [
        f"BotKube {one.botkube_version} on Kubernetes {one.kubernetes_minor}"
        for one in (most, *others)
    ]
    said = (
        f"{common} {'are' if others else 'is'} {listing(first_few(names))}: {percent(most.share)}"
    )
    said += " each of all installations" if others else " of all installations"
    if before is not None and is_number(before.share) and not others:
        said += f", {_against(change(most.share, before.share), period)}"
    return f"{said}.{hidden(week)}{_on_the_oldest(week)}"


def _on_the_oldest(week: Sequence[Pair]) -> str:
    """Say what those run whose minor is the oldest, as far as it is told."""
    oldest = min((one.kubernetes_minor for one in week), key=version_order, default="")
    if version_order(oldest)[0]:
        return ""
    column = [one for one in week if one.kubernetes_minor == oldest and one.installations]
    those = sorted(
        (one for one in told_of(column) if not version_order(one.botkube_version)[0]),
        key=lambda one: (-figure(one.installations), version_order(one.botkube_version)),
    )
    if not those:
        return ""
    first, *others = (
        f"{one.botkube_version} by {number(one.installations)}" for one in those[:MAX_NAMES]
    )
    named = sum(figure(one.installations) for one in those[:MAX_NAMES])
    rest = int(sum(figure(one.installations) for one in told_of(column)) - named)
    words = [first.replace(" by ", " is run by ", 1), *others]
    said = listing([*words, f"others, or one that is not known, by {rest}"] if rest else words)
    if is_any_withheld(column, "installations"):
        said += "; other numbers are withheld"
    return f" Of those on Kubernetes {oldest}, BotKube {said}."
