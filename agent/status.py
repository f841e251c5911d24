"""What `status` prints: what the running agent says of itself, or what State holds.

Owns its tables and messages for a person at a terminal. Must not know arguments or settings.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from agent.modes import Mode
from agent.source.api import ApiError, Client, NoCluster
from agent.state.configmap import ConfigMapStore
from agent.state.disk import FileStore
from agent.state.document import DocumentError, decode
from agent.state.store import StateError
from agent.web.view import HOST

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agent.modes import Decision, Switch
    from agent.options import Options
    from agent.rules import RuleSet


def show_running(found: Mapping[str, Any], port: int) -> int:
    """Print what the running agent says of itself: the numbers of its page."""
    console = Console()
    figures, ledger, coming = found["figures"], found["ledger"], found["next"]
    console.print(f"agent: version {found['version']} runs, page http://{HOST}:{port}/")
    switches = [(one["name"], one["value"], one["is_off"]) for one in found["switches"]]
    _print_mode(console, found["mode"], found["why"], switches)
    if found["means"]:
        console.print(found["means"], soft_wrap=True)
    if found["unreadable"]:
        hidden = ", ".join(found["unreadable"])
        console.print(
            f"NOT READABLE, an off that stands there is not obeyed: {hidden}; "
            "`botkube-analytics doctor` says what to mend",
            style="bold",
            markup=False,
            soft_wrap=True,
        )
    off = ", ".join(name for name, _value, is_off in switches if is_off)
    if off:
        again = f"to switch it on again take back: {off}; no restart is needed"
        console.print(again, markup=False, soft_wrap=True)
    begin = found["count_from_seconds"] or 0
    if begin > found["now_seconds"]:
        console.print(
            f"quiet: nothing is sent before {_time(begin)}, and nothing counted until then"
        )
    if found["withheld"]:
        console.print(
            f"withheld: what the rules newly disclose of {', '.join(found['withheld'])} is not "
            f"sent before {_time(found['withheld_until_seconds'])}, nor counted for it until then",
            markup=False,
        )
    refused = figures["are_rules_refused"]
    console.print(
        f"rules: {figures['rules_loaded']}, digest {figures['rules_digest']}"
        f"{'; the files have changed and do not compile, see `rules check`' if refused else ''}",
        soft_wrap=True,
    )
    promise = f", {found['promise']}" if found["promise"] else ""
    console.print(f"destination: {found['destination'] or 'none'}{promise}", markup=False)
    if coming is not None:
        will = "will be sent" if coming["is_sent"] else "will not be sent"
        console.print(
            f"next report: {coming['bytes']} bytes, {will}, closes after "
            f"{_time(coming['end_seconds'])}"
        )
    console.print(
        f"  stream {found['stream'] or 'none yet'}, window {found['seq']} sealed, "
        f"{figures['outbox_batches']} batches waiting, {found['parked']} parked"
    )
    answers = ", ".join(f"{count} {word}" for word, count in sorted(ledger["answers"].items()))
    console.print(f"ledger: {ledger['entries']} reports ({answers or 'none yet'})")
    for event, day in found["last_day"].items():
        console.print(
            f"  {event}: {day['delivered']} delivered, {day['not_delivered']} not, in the last day"
        )
    return 0


def _time(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def _print_mode(
    console: Console, mode: str, why: str, switches: Iterable[tuple[str, str, bool]]
) -> None:
    console.print(f"mode: [bold]{mode}[/] because {why}")
    table = Table("switch", "value", "says off")
    for name, value, is_off in switches:
        table.add_row(name, value, "yes" if is_off else "no")
    console.print(table)


async def show_status(
    decision: Decision, switches: Iterable[Switch], ruleset: RuleSet | None, options: Options
) -> int:
    """Print the mode, every switch and what State holds. Switched off, rules are not read."""
    console = Console()
    named = ((one.name, one.value, one.is_off) for one in switches)
    _print_mode(console, decision.mode, decision.why, named)
    if ruleset is None:
        console.print("nothing is contacted while the mode is off; rules and State were not read")
        return 0
    console.print("switches in the cluster: not looked at, because no running agent answers here")
    console.print(f"rules: {len(ruleset.rules)}, digest {ruleset.digest}")
    where = options.destination if decision.mode is Mode.ON else None
    what = "none" if where is None else f"{where.name}, {where.promise}"
    console.print(f"destination: {what}", markup=False)
    try:
        return _print_state(console, *(await _read_state(options)))
    except (StateError, ApiError, NoCluster) as error:
        console.print(f"state: {error}", markup=False)
        return 3


async def _read_state(options: Options) -> tuple[str, bytes | None]:
    if options.state_path is not None:
        store = FileStore(options.state_path, is_owner=False)
        return store.where, (await store.load()).data
    async with Client(options.access, f"botkube-analytics/{options.agent_version}") as client:
        kept = ConfigMapStore(client, options.state_namespace, options.state_name, is_owner=False)
        return kept.where, (await kept.load()).data


def _print_state(console: Console, where: str, data: bytes | None) -> int:
    console.print(f"state: {where}", markup=False)
    if data is None:
        console.print("  nothing yet: the agent has not committed here")
        return 0
    try:
        document = decode(data)
    except DocumentError as error:
        console.print(f"  {error}", markup=False)
        return 1
    console.print(
        f"  stream {document.stream}, window {document.seq} sealed, {len(document.windows.open)} "
        f"open, {len(document.outbox)} batches waiting, {document.parked} parked"
    )
    console.print(
        f"  {len(document.cursors)} containers followed, "
        f"{sum(one.total for one in document.cursors.values())} lines behind their cursors"
    )
    for event, total in sorted(document.totals.items()):
        console.print(f"  {event}: {total} sent in all")
    return 0
