"""What may be told: numbers of few installations are withheld, and what they follow from. Pure.

Owns which numbers of the answers add up to which. Everything that is printed, in words, drawings
and tables, is made of what comes out of here, and so tells nothing more.

Rows whose installations may be in several of them (commands, failures, days) add up to nothing,
and of those only what is of few is withheld, or of all but few.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence, Set
from datetime import date
from math import inf
from typing import TypeVar

from attrs import evolve

from agent.statistics.answers import (
    WITHHELD,
    Active,
    Answers,
    Command,
    Failure,
    Integration,
    Misconfigured,
    PerDay,
    Row,
    Told,
    Version,
    numbers,
)
from agent.statistics.blanks import (
    are_few_apart,
    blank,
    changed,
    is_few,
    leaves_few,
    whole,
)
from agent.statistics.crossing import adoption as adoption_of
from agent.statistics.hiding import OUTSIDE, Cell, hide
from agent.statistics.hours import completeness_of, crashes_of, lost_hours
from agent.statistics.periods import figure, is_number, whole_weeks
from agent.statistics.shown import UNKNOWN, Shown, days_of_few

AnyRow = TypeVar("AnyRow", bound=Row)


_QUANTILES = {"p10": 10, "p25": 25, "median": 50, "p75": 75, "p90": 90, "p99": 99}
_PARTS = ("new", "kept", "returned", "gone")
_OFF = ("installations_disabled", "share")


def withhold(answers: Answers, least: int) -> Shown:
    """Return the answers without what would tell of fewer than `least` installations.

    Of fewer than one or none tells nothing: then all is told.
    """
    told = [one for one in answers.active_installations if not is_few(one.installations, least)]
    # Of a week in which nobody was active there is nothing but why.
    weeks = {one.week for one in told}
    found = _of_weeks(answers, weeks)
    adoption = adoption_of(found, least)
    if least <= 1:
        return evolve(
            adoption,
            active_installations=answers.active_installations,
            integrations=found.integrations,
            commands=found.commands,
            events_per_day=found.events_per_day,
            notification_failures=found.notification_failures,
            configuration_errors=found.configuration_errors,
            crashes=found.crashes,
            crash_kinds=found.crash_kinds,
            completeness=found.completeness,
        )
    everyone = {one.week: one.installations for one in told}
    integrations = _integrations(found.integrations, least)
    users = {(one.week, one.platform): one.installations for one in integrations}
    completeness = completeness_of(found.completeness, everyone, least)
    # Of whom something is told, all others are a part.
    wholes = {week: [many] for week, many in everyone.items()}
    for row in completeness:
        if row.reason == "observed" and row.installations is not WITHHELD:
            wholes[row.week].append(row.installations)
    are_whole = whole_weeks(sorted(everyone), found.completeness)
    per_day = tuple(
        _per_day(
            one,
            wholes[one.week],
            users.get((one.week, one.platform)),
            least,
            is_whole=one.week in are_whole,
        )
        for one in found.events_per_day
    )
    days = {
        (one.week, one.platform): [one.installations]
        for one in per_day
        if one.installations is not WITHHELD
    }
    named = _named(adoption.version_adoption, everyone)
    lost = lost_hours(found.completeness, completeness)
    crashes, kinds = crashes_of(found, adoption.version_adoption, lost, wholes, least)
    return evolve(
        adoption,
        active_installations=tuple(_active(answers.active_installations, least)),
        integrations=tuple(integrations),
        commands=tuple(
            _command(
                one,
                [*wholes[one.week], *named.get(one.week, ())],
                users.get((one.week, one.platform)),
                least,
            )
            for one in _small(found.commands, least)
        ),
        events_per_day=per_day,
        notification_failures=tuple(
            _failures(found.notification_failures, wholes, users, days, least)
        ),
        configuration_errors=tuple(
            _misconfigured(one, everyone[one.week], wholes[one.week], least)
            for one in _small(found.configuration_errors, least)
        ),
        crashes=crashes,
        crash_kinds=kinds,
        completeness=completeness,
    )


def _named(rows: Iterable[Version], everyone: Mapping[date, Told]) -> Mapping[date, Sequence[Told]]:
    """Return by week of how many a version is known: whoever could show commands is one of them."""
    return {
        one.week: [whole(everyone[one.week]) - whole(one.installations)]
        for one in rows
        if one.botkube_version == UNKNOWN and is_number(one.installations)
    }


def _small(rows: Iterable[AnyRow], least: int) -> Sequence[AnyRow]:
    return tuple(blank(one) if is_few(one.installations, least) else one for one in rows)


def _of_weeks(answers: Answers, weeks: set[date]) -> Answers:
    def only(rows: Iterable[AnyRow]) -> Sequence[AnyRow]:
        return tuple(one for one in rows if one.week in weeks)

    return Answers(
        only(answers.active_installations),
        only(answers.version_adoption),
        only(answers.kubernetes_adoption),
        only(answers.version_by_kubernetes),
        only(answers.integrations),
        only(answers.commands),
        only(answers.events_per_day),
        only(answers.notification_failures),
        only(answers.configuration_errors),
        only(answers.crashes),
        only(answers.crash_kinds),
        only(answers.completeness),
    )


# --- who came and went ----------------------------------------------------------------------------


def _active(rows: Sequence[Active], least: int) -> Iterable[Active]:
    rows = sorted(rows, key=lambda one: one.week)
    hidden = {
        *_came_and_went(rows, "installations", least),
        *_came_and_went(rows, "clusters", least),
    }
    for at, row in enumerate(rows):
        told: dict[str, Told] = {name: WITHHELD for week, name in hidden if week == at}
        if is_few(row.installations, least):
            told = dict.fromkeys(numbers(Active), WITHHELD)
        elif _tells_of_clusters(row, least):
            told["installations_without_cluster"] = WITHHELD
        yield changed(row, told)


def _tells_of_clusters(row: Active, least: int) -> bool:
    """Whether few name no cluster, or one, or one that another names, too, or none does that.

    Fewer clusters than installations tell that there is one: none is not told apart from few. Where
    each has a cluster of its own, those that come and go tell how many of them have none. Of few
    clusters it is withheld how many they are.
    """
    clusters, without = whole(row.clusters), whole(row.installations_without_cluster)
    more = whole(row.installations) - without - clusters
    return without < least or (clusters > 0 and min(clusters, more) < least)


def _came_and_went(rows: Sequence[Active], what: str, least: int) -> Set[tuple[int, str]]:
    """Return what is withheld, by row and name.

    New, kept and returned are this week's, kept and gone the last's; and only those can return who
    have gone and not yet returned. How many these are is printed nowhere, but can be added up.
    The totals are told: by them at least so many have gone as there are fewer, and of the second
    week at least so many are new as there are more.
    """
    cells: list[Cell] = []
    hidden: set[Hashable] = set()
    printed = {
        (at, name)
        for at, row in enumerate(rows)
        for name in (what, *(f"{what}_{part}" for part in _PARTS))
        if getattr(row, name) is not None
    }

    def unprinted(value: int, tail: Hashable, head: Hashable) -> None:
        hidden.add(len(cells))
        cells.append(Cell(len(cells), value, tail, head, floor=0))

    away = before = 0
    was_few = False
    for at, row in enumerate(rows):
        new, kept, returned, gone = (whole(getattr(row, f"{what}_{part}")) for part in _PARTS)
        total: Told = getattr(row, what)
        if not at and kept + returned + gone:
            # The data begin earlier: nobody here knows how many were away by then.
            away = returned + least
            unprinted(away, OUTSIDE, ("away", at))
            unprinted(kept + gone, OUTSIDE, ("left", at))
        few = is_few(total, least)
        if few:
            hidden.add((at, what))
        fewer = before - whole(total)
        floors = {"gone": max(0, fewer), "new": max(0, -fewer) if at == 1 and not away else 0}
        ends = {
            "new": (new, OUTSIDE, ("here", at), 4.0),
            "returned": (returned, ("away", at), ("here", at), 2.0),
            "kept": (kept, ("left", at), ("here", at), 5.0),
            "gone": (gone, ("left", at), ("away", at + 1), 3.0),
        }
        for part, (value, tail, head, cost) in ends.items():
            name = at, f"{what}_{part}"
            if few or was_few:
                hidden.add(name)
            is_small = is_few(value, least) and name not in hidden
            floor = 0 if few or was_few else floors.get(part, 0)
            cells.append(Cell(name, value, tail, head, is_small, cost, floor))
        cells.append(Cell((at, what), whole(total), ("here", at), ("left", at + 1), cost=inf))
        unprinted(away - returned, ("away", at), ("away", at + 1))
        away += gone - returned
        was_few, before = few, whole(total)
    unprinted(away, ("away", len(rows)), OUTSIDE)
    unprinted(whole(getattr(rows[-1], what)) if rows else 0, ("left", len(rows)), OUTSIDE)
    found = hide(cells, least, hidden)
    # Where even all of it is not enough, the totals alone are told.
    return {
        one
        for one in printed
        if one in hidden or (one[1] != what if found is None else one in found)
    }


# --- what is used, and what goes wrong ------------------------------------------------------------


def _integrations(rows: Iterable[Integration], least: int) -> Sequence[Integration]:
    """Withhold users: on, off and unknown are all installations."""
    rows = tuple(rows)
    hidden = {one.week for one in rows if one.kind == "bot" and _hides_unknown(one, least)}
    return tuple(
        _bot(one, least, hides_unknown=one.week in hidden)
        if one.kind == "bot"
        else _sink(one, least)
        for one in rows
    )


def _hides_unknown(row: Integration, least: int) -> bool:
    """Whether a bot's row would tell of few, or its users could not be told, beside its unknown."""
    on, off = whole(row.installations), whole(row.installations_disabled)
    unknown = whole(row.installations_unknown)
    spares_users = not is_few(on, least) and is_few(off, least) and off + unknown >= least
    return is_few(unknown, least) or is_few(on + off, least) or spares_users


def _bot(row: Integration, least: int, *, hides_unknown: bool) -> Integration:
    """Withhold users of a bot, and who has it off: the share tells as much as that.

    A report names all bots at once, so of how many it is unknown is one number, or nearly, for all
    of a week: who is told it of one knows it of each. So it is told of each, or of none.
    """
    on, off = whole(row.installations), whole(row.installations_disabled)
    hides_users = is_few(on, least) or is_few(off, least)
    told: dict[str, Told] = {}
    if hides_unknown:
        # What they leave of all are the others, off and unknown.
        hides_users = is_few(on, least) or whole(row.installations_all) - on < least
        told |= dict.fromkeys(("installations_unknown", *_OFF), WITHHELD)
        row = evolve(row, is_complete=False)  # complete is what has none unknown
    if hides_users:
        told |= dict.fromkeys(("installations", "share_at_least", *_OFF), WITHHELD)
    return changed(row, told)


def _sink(row: Integration, least: int) -> Integration:
    """Withhold users of a sink: each has an unknown of its own, for none says that it is off."""
    costs = {"installations": 100.0, "installations_disabled": 5.0, "installations_unknown": 1.0}
    cells = [
        Cell(name, whole(value), "all", "parts", is_few(value, least), cost)
        for name, cost in costs.items()
        if (value := getattr(row, name)) is not None
    ]
    hidden = hide(cells, least)
    if hidden is None:
        return blank(row)
    told: dict[str, Told] = {str(name): WITHHELD for name in hidden}
    if hidden & {"installations", "installations_disabled"}:
        told["share"] = WITHHELD
    if "installations" in hidden:
        told["share_at_least"] = WITHHELD
    return changed(row, told)


def _numbers(*values: Told) -> list[Told]:
    return [one for one in values if is_number(one)]


def _are_all_but_few(value: Told, wholes: Iterable[Told], users: Told, least: int) -> bool:
    """Whether a number is of all but few, or of all that have a platform but few.

    Where it is withheld who has it, it is compared with all.
    """
    known = [*wholes] if users is WITHHELD else [*wholes, users]
    return any(leaves_few(value, of, least) for of in known)


def _is_found(value: Told, of: Iterable[Told], least: int, most: Told = None) -> bool:
    """Whether a number that is withheld as all but few of another would be found all the same.

    For it is not of few, or nothing of its row were told, nor more than `most` where that is told.
    Of two that are as near to each other it may be all but few of either: one rule is for both.
    """
    known = {*map(whole, _numbers(*of))}
    near = {one for one in known if leaves_few(value, one, least)}
    near |= {one for one in known if any(abs(one - other) < least for other in near)}
    return any(one < 2 * least - 1 or (is_number(most) and figure(most) < one) for one in near)


def _command(row: Command, wholes: Sequence[Told], users: Told, least: int) -> Command:
    """Withhold the part of a count that is of few, and who is all but few, also of the platform."""
    told: dict[str, Told] = {}
    able = row.installations_observable
    if any(whole(of) - whole(able) < least for of in wholes):
        # The hours of all who were observed less these are of few, or few hours of all.
        told["hours_observable"] = WITHHELD
    if _are_all_but_few(able, wholes, None, least):
        told["installations_observable"] = WITHHELD
    # By who uses it nobody shall know how many could show it, where that is withheld.
    of = _numbers(*wholes, told.get("installations_observable", able))
    again = max(0, whole(row.count_failed) - whole(row.installations_failed))
    most = min([whole(row.count) - again, *map(whole, of)])
    if _is_found(row.installations, [*of, users], least, most):
        return blank(row)
    if _are_all_but_few(row.installations_failed, of, users, least):
        told["count_failed"] = WITHHELD
    for name in ("installations", "installations_failed"):
        if _are_all_but_few(getattr(row, name), of, users, least):
            told[name] = WITHHELD
    if is_few(row.installations_failed, least):
        told |= dict.fromkeys(("count_failed", "installations_failed"), WITHHELD)
    return changed(row, told)


def _misconfigured(
    row: Misconfigured, everyone: Told, wholes: Sequence[Told], least: int
) -> Misconfigured:
    """Withhold of how many a fault is that all but few have, and that few could show, or not.

    Then its share is of all, if it has one, and not to be compared with one of some.
    """
    if row.installations is WITHHELD:
        return row
    told: dict[str, Told] = {}
    able = row.installations_observable
    if is_few(able, least) or any(are_few_apart(able, of, least) for of in wholes):
        is_known = row.share is not None and everyone
        share = figure(row.installations) / figure(everyone) if is_known else None
        told |= {**dict.fromkeys(Misconfigured.SHARED, WITHHELD), "share": share}
    of = _numbers(*wholes, told.get("installations_observable", able))
    if _is_found(row.installations, of, least, row.count):
        return blank(row)
    if _are_all_but_few(row.installations, of, None, least):
        told |= dict.fromkeys(("installations", "share"), WITHHELD)
    return changed(row, told)


def _per_day(
    row: PerDay, wholes: Sequence[Told], users: Told, least: int, *, is_whole: bool
) -> PerDay:
    """Withhold quantiles: one is of somebody, so the days of as many must lie on either side.

    And how many days there are, where so few lack that they can be of few alone. A week of which
    the data do not have every day has any number of days.
    """
    if is_few(row.installations, least):
        return blank(row)
    # So many days can be of one fewer.
    days = days_of_few(least)
    beyond = {name: min(at, 100 - at) for name, at in _QUANTILES.items()}
    told: dict[str, Told] = {
        name: WITHHELD
        for name, part in beyond.items()
        if part * whole(row.installation_days) <= 100 * days and getattr(row, name) is not None
    }
    if row.days_left_out:
        # What was handled on these is what the attempts that did not fail have more.
        told["total"] = WITHHELD
    if 0 < whole(row.days_left_out) <= days:
        told["days_left_out"] = WITHHELD
    had = whole(row.installation_days)
    # Those that were left out lack, too, but are told, and are of all.
    beside = _numbers(row.installations, users, *wholes)
    lacks = [(had, row.installations), *((had + whole(row.days_left_out), of) for of in beside)]
    for each in (7,) if is_whole else range(1, 8):
        if any(leaves_few(one, each * whole(of), each * (least - 1) + 1) for one, of in lacks):
            told["installation_days"] = WITHHELD
    if users is WITHHELD or _are_all_but_few(row.installations, wholes, users, least):
        if _is_found(row.installations, [*wholes, users], least):
            return blank(row)
        told |= dict.fromkeys(("installations", "installation_days"), WITHHELD)
        # By one that is told there are more days, and so installations, than lie beyond it.
        fewest = min(map(whole, _numbers(*wholes, users)), default=0) - least + 1
        each = 7 if is_whole else 1
        told |= {
            name: WITHHELD
            for name, part in beyond.items()
            if 100 * days // part >= each * fewest and getattr(row, name) is not None
        }
    return changed(row, told)


_OBSERVED = (
    "failed",
    "attempts",
    "rate",
    "installations_failed",
    "installations_observed",
    "installations_unobserved",
)
"""What failures tell of windows that could show the attempts."""
_UNOBSERVED = ("failed_all", "installations", "installations_unobserved")
"""What they tell of the other windows, the observed being told."""


def _failures(
    rows: Iterable[Failure],
    wholes: Mapping[date, Sequence[Told]],
    users: Mapping[tuple[date, str], Told],
    days: Mapping[tuple[date, str], Sequence[Told]],
    least: int,
) -> Iterable[Failure]:
    """Withhold failures: attempts are those that failed, by reason, and those that did not.

    Whoever tried has whole `days`, where none was left out.
    """
    groups: defaultdict[tuple[date, str, str], list[Failure]] = defaultdict(list)
    for one in rows:
        groups[one.week, one.platform, one.what].append(one)
    for (_, platform, _), group in groups.items():
        cells = [
            Cell(
                one.reason,
                whole(one.failed),
                "attempts",
                OUTSIDE,
                is_few(one.installations, least) or is_few(one.installations_failed, least),
                1 + whole(one.failed) / 1000,
            )
            for one in group
        ]
        attempts = group[0].attempts
        if attempts is None:
            yield from _small(group, least)
            continue
        observed = group[0].installations_observed
        has = users.get((group[0].week, platform))
        known = [*wholes[group[0].week], *days.get((group[0].week, platform), ())]
        all_of_them = Cell("attempts", whole(attempts), OUTSIDE, "attempts", cost=1e6)
        hidden = hide([*cells, all_of_them], least)
        # No more have tried than there were attempts, of which who failed alone had these.
        again = (
            max(0, whole(one.failed) - whole(one.installations_failed))
            for one in group
            if hidden is not None and one.reason not in hidden
            if not _are_all_but_few(one.installations_failed, known, has, least)
        )
        most = whole(attempts) - sum(again)
        if _is_found(observed, [*known, has], least, most):
            yield from map(blank, group)
            continue
        if observed is None or is_few(observed, least):
            told = dict.fromkeys(_OBSERVED, WITHHELD)
            yield from (changed(one, told) for one in _small(group, least))
            continue
        for one in group:
            if hidden is None or one.reason in hidden:
                yield blank(evolve(one, attempts=WITHHELD))
                continue
            yield _failure(one, known, has, least, tells_attempts="attempts" not in hidden)


def _failure(
    row: Failure, wholes: Sequence[Told], users: Told, least: int, *, tells_attempts: bool
) -> Failure:
    """Withhold where few met a failure, and who tried if that is all but few."""
    told: dict[str, Told] = {}
    if not tells_attempts:
        told |= dict.fromkeys(("attempts", "rate"), WITHHELD)
    only_observed, only_unobserved, both = _where_met(row)
    if is_few(row.installations_unobserved, least) or is_few(only_unobserved, least):
        told |= dict.fromkeys(_UNOBSERVED, WITHHELD)
    elif is_few(only_observed, least) or is_few(both, least):
        told["installations_unobserved"] = WITHHELD
    if users is WITHHELD or _are_all_but_few(row.installations_observed, wholes, users, least):
        told["installations_observed"] = WITHHELD
        # Who failed has tried, and has the platform; there are no more of them than failures.
        if _is_found(row.installations_failed, [*wholes, users], least, row.failed):
            return blank(row)
        if _are_all_but_few(row.installations_failed, wholes, users, least):
            told["installations_failed"] = WITHHELD
        if _are_all_but_few(row.installations, wholes, users, least):
            told |= dict.fromkeys(_UNOBSERVED, WITHHELD)
    return changed(row, told)


def _where_met(row: Failure) -> tuple[int, int, int]:
    """Return how many met a failure in windows that show attempts alone, in others alone, in both.

    Nothing says so, but all three follow from what does.
    """
    everyone, failed = whole(row.installations), whole(row.installations_failed)
    unobserved = whole(row.installations_unobserved)
    return everyone - unobserved, everyone - failed, failed + unobserved - everyone
