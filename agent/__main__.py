"""The command line: run, preview, audit, rules, status, doctor, ledger.

Owns arguments, exit codes and what a person reads. Everything else is a call into the package,
which each command imports for itself: those that read files alone need no HTTP client. Bad input
never shows a traceback.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agent import __version__, settings
from agent.modes import Mode, decide
from agent.rulefiles import load_rules
from agent.rules import RuleError
from agent.sink.endpoint import EndpointError, WriteKeyError, endpoint_for
from agent.workbench import command_line as workbench

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.options import Options, World

EXIT_CODES = """\
exit codes:
  0    done, and nothing is wrong
  1    done, and something is wrong with what was looked at (rules, events, State, a proof)
  2    the command, its input, a setting, a rule file or a port is wrong; nothing was done
  3    the cluster, State or the ledger cannot be used; plan: something new is disclosed
  130  interrupted
"""

SERVICE_ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        arguments = _parser().parse_args(argv)
        if sys.stdout is None and arguments.command is not _run:
            return _refuse("standard output is closed")
        code = int(arguments.command(arguments))
        if sys.stdout is not None:
            sys.stdout.flush()
    except settings.SettingsError as error:
        return _refuse(f"settings are wrong\n{error}")
    except RuleError as error:
        return _refuse(f"rules are wrong\n{error}")
    except (EndpointError, WriteKeyError) as error:
        return _refuse(str(error))
    except BrokenPipeError:
        # The reader of our output has gone (`| head`); that is not a failure of ours.
        _drop_output()
        return 0
    except OSError as error:
        _drop_output()
        return _refuse(f"{error.filename or 'cannot write the output'}: {error.strerror}")
    except KeyboardInterrupt:
        return 130
    return code


def _refuse(message: str) -> int:
    if sys.stderr is not None:
        shown = message.encode("utf-8", "replace").decode()
        print(f"botkube-analytics: {shown}", file=sys.stderr)
    return 2


def _drop_output() -> None:
    """Let what is still to be written go nowhere, so that Python does not try again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="botkube-analytics",
        description="Count what BotKube's logs tell, anonymously, and report it.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="follow the cluster and report until stopped")
    settings.add_flags(run)
    run.set_defaults(command=_run)

    preview = commands.add_parser(
        "preview",
        help="show what would be sent for saved logs; sends nothing",
        description="Apply the rules to saved logs and show the batch that would be sent. "
        "Try: kubectl logs deploy/botkube | botkube-analytics preview -",
    )
    preview.add_argument("files", nargs="*", metavar="FILE", help="log files; - or none: stdin")
    preview.add_argument(
        "--format", choices=("table", "json"), default="table", help="json: the batch itself"
    )
    settings.add_flags(preview)
    preview.set_defaults(command=_preview)

    prove = commands.add_parser(
        "prove",
        help="show on your own logs that nothing sent depends on their text",
        description="Put other text into saved logs wherever no decision of the rules rests on "
        "it, in several ways, and compare what would be sent byte by byte. Prints counts, line "
        "numbers and rule ids, and no text of the logs.",
        epilog="exit codes:\n  0  proved\n  1  not proved\n  2  unusable input\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    prove.add_argument("files", nargs="*", metavar="FILE", help="log files; - or none: stdin")
    prove.add_argument("--format", choices=("text", "json"), default="text")
    settings.add_flags(prove)
    prove.set_defaults(command=_prove)

    plan = commands.add_parser(
        "plan",
        help="show everything that could ever be sent, or what is new in it",
        description="Print every series that could ever exist, with all its values, the worst case "
        "of a window, and the settings on which it depends how much that tells, and whom; or what "
        "could be sent now and could not before. Newly disclosed are also: another cluster id "
        "(none, uuid5, raw, in this order), a shorter window, a smaller minimum, another server.",
        epilog="exit codes:\n  0  printed\n  2  a setting, a rule or the older plan is wrong\n"
        "  3  something is newly disclosed, and not acknowledged\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    plan.add_argument(
        "--against",
        metavar="OLD",
        help="an older plan (--format json), or a folder of rules, which tells no settings",
    )
    plan.add_argument("--acknowledge", action="store_true", help="what is new is known: exit 0")
    plan.add_argument("--format", choices=("text", "json"), default="text")
    settings.add_flags(plan)
    plan.set_defaults(command=_plan)

    audit = commands.add_parser(
        "audit",
        help="check an export of received events for losses and doubles",
        description="Check events as they arrived, one a line: Segment track calls, arrays or "
        "requests of them, or rows of a warehouse as JSON. Ends with 0 if nothing was lost or "
        "doubled, 1 if something was, 2 if a line cannot be used. What would come after the newest "
        "window of a stream cannot be missed.",
    )
    audit.add_argument("files", nargs="+", metavar="FILE", help="exports; -: stdin")
    audit.add_argument(
        "--part", action="store_true", help="the export may begin later than its streams do"
    )
    audit.add_argument("--format", choices=("table", "json"), default="table")
    audit.set_defaults(command=_audit)

    workbench.add_commands(
        commands.add_parser(
            "rules",
            help="work with rule files",
            epilog=workbench.EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )

    status = commands.add_parser("status", help="show the mode, every switch, and what State holds")
    settings.add_flags(status)
    status.set_defaults(command=_status)

    doctor = commands.add_parser(
        "doctor",
        help="check rights, reachability, clock and what is kept, with the fix of each fault",
        description="Ask the cluster and the destination what the agent needs of them, and judge "
        "it: ok, warn or fail, and the fix. Changes nothing and sends no event: the destination, "
        "in mode on alone, is asked for GET / without key or id. While a local switch says off, "
        "nothing is contacted; while one in the cluster does, no log is read.",
        epilog="exit codes:\n  0  nothing fails\n  1  something fails\n"
        "  2  the command or a setting is wrong; nothing was looked at\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    doctor.add_argument("--format", choices=("text", "json"), default="text")
    doctor.add_argument(
        "--deployed",
        action="store_true",
        help="look at what an agent in the cluster keeps, in place of this machine's state file",
    )
    settings.add_flags(doctor)
    doctor.set_defaults(command=_doctor)

    ledger = commands.add_parser(
        "ledger",
        help="list the reports that were sent, and those that were not",
        description="List the reports that the running agent, else the directory of ledger.path, "
        "has kept, with destination, answer and digest.",
    )
    ledger.add_argument("--format", choices=("table", "json"), default="table")
    settings.add_flags(ledger)
    ledger.set_defaults(command=_ledger)
    show = ledger.add_subparsers(title="commands", metavar="COMMAND").add_parser(
        "show",
        help="print one report byte for byte",
        description="Print the batch array of one report exactly as it was sent.",
        # What was given before the word stands.
        argument_default=argparse.SUPPRESS,
    )
    show.add_argument("report", metavar="NUMBER|DIGEST", help="from the list")
    settings.add_flags(show)
    return parser


def _load(arguments: argparse.Namespace) -> settings.Settings:
    flags = {
        name: value
        for name, value in vars(arguments).items()
        if value is not None and ("." in name or name == "config")
    }
    return settings.load(os.environ, flags, lambda path: Path(path).read_text(encoding="utf-8"))


def _run(arguments: argparse.Namespace) -> int:
    faults: tuple[settings.Fault, ...] = ()
    try:
        loaded = _load(arguments)
    except settings.SettingsError as error:
        # A switch that says off is obeyed whatever else is wrong, and what is wrong is said.
        loaded, faults = error.usable, error.faults
        if not any(switch.is_off for switch in settings.switches(loaded)):
            raise
    import asyncio
    import signal

    from agent import logs, service
    from agent.ledger.directory import Directory
    from agent.ledger.ledger import Ledger

    logs.configure(loaded.log.level)
    mode = decide(settings.switches(loaded), has_write_key=loaded.destination.write_key is not None)
    listen = (loaded.health.host, loaded.health.port)
    stop = asyncio.Event()
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        if mode.mode is Mode.OFF:
            # Nothing else is looked at: broken rules must not end an agent that is switched off.
            return runner.run(service.serve_off(mode, listen, stop, __version__, map(str, faults)))
        try:
            ruleset = load_rules(loaded.rules.paths)
        except RuleError as error:
            return service.refuse_rules(error)
        endpoint = endpoint_for(_endpoint(loaded))
        write_key = loaded.destination.write_key if mode.mode is Mode.ON else None
        return runner.run(
            service.serve_pipeline(
                mode,
                listen,
                ruleset,
                _options(loaded),
                _world(),
                endpoint=endpoint,
                write_key=write_key,
                stop=stop,
                ledger=Ledger(Directory(Path(loaded.ledger.path)) if loaded.ledger.path else None),
                switches=settings.switches(loaded),
                page_port=loaded.page.port,
            )
        )


def _preview(arguments: argparse.Namespace) -> int:
    from agent.commands import show_preview

    return _look_through(arguments, show_preview)


def _prove(arguments: argparse.Namespace) -> int:
    from agent.proving.report import show_proof

    return _look_through(arguments, show_proof)


def _look_through(arguments: argparse.Namespace, show: Callable[..., int]) -> int:
    """Apply the rules to saved logs and show what comes of it."""
    loaded = _load(arguments)
    return show(
        arguments.files,
        load_rules(loaded.rules.paths),
        window_seconds=loaded.window.seconds,
        agent_version=__version__,
        now_seconds=int(time.time()),
        minimum=loaded.privacy.minimum,
        as_json=arguments.format == "json",
    )


def _plan(arguments: argparse.Namespace) -> int:
    from agent.plan import PlanError, show_plan
    from agent.terms import Terms

    loaded = _load(arguments)
    terms = Terms(
        loaded.identity.cluster_id,
        loaded.window.seconds,
        loaded.privacy.minimum,
        _origin(endpoint_for(_endpoint(loaded))),
    )
    try:
        return show_plan(
            load_rules(loaded.rules.paths),
            terms,
            against=arguments.against,
            acknowledged=arguments.acknowledge,
            as_json=arguments.format == "json",
        )
    except PlanError as error:
        return _refuse(str(error))


def _audit(arguments: argparse.Namespace) -> int:
    from agent.auditing import show_audit

    return show_audit(arguments.files, is_part=arguments.part, as_json=arguments.format == "json")


def _status(arguments: argparse.Namespace) -> int:
    import asyncio

    from agent import logs
    from agent.ask import ask_status
    from agent.commands import show_running, show_status

    loaded = _load(arguments)
    logs.configure("error")
    mode = decide(settings.switches(loaded), has_write_key=loaded.destination.write_key is not None)
    # While it is off nothing is contacted, not even this machine.
    running = ask_status(loaded.page.port) if mode.mode is not Mode.OFF else None
    if running is not None:
        return show_running(running, loaded.page.port)
    # Broken rules must not hide which switch says off.
    ruleset = None if mode.mode is Mode.OFF else load_rules(loaded.rules.paths)
    return asyncio.run(show_status(mode, settings.switches(loaded), ruleset, _options(loaded)))


def _doctor(arguments: argparse.Namespace) -> int:
    import asyncio

    from attrs import evolve

    from agent import logs
    from agent.doctor.examine import Patient
    from agent.doctor.report import show_doctor

    loaded = _load(arguments)
    logs.configure("error")
    options = _options(loaded)
    if arguments.deployed:
        # An agent keeps its State where it runs, which from elsewhere is taken to be with BotKube.
        is_in_pod = SERVICE_ACCOUNT_NAMESPACE.exists()
        at = options.state_namespace if is_in_pod else options.namespaces[-1]
        options = evolve(options, state_path=None, state_namespace=loaded.state.namespace or at)
    patient = Patient(
        options,
        settings.switches(loaded),
        has_write_key=loaded.destination.write_key is not None,
        load_rules=lambda: load_rules(loaded.rules.paths),
        clock=time.time,
        guessed=frozenset() if loaded.kubernetes.namespaces else frozenset(options.namespaces),
    )
    return asyncio.run(show_doctor(patient, as_json=arguments.format == "json"))


def _ledger(arguments: argparse.Namespace) -> int:
    from agent.kept import Place, show_entry, show_ledger

    loaded = _load(arguments)
    mode = decide(settings.switches(loaded), has_write_key=loaded.destination.write_key is not None)
    path = Path(loaded.ledger.path) if loaded.ledger.path else None
    place = Place(0 if mode.mode is Mode.OFF else loaded.page.port, path)
    if "report" in arguments:
        return show_entry(place, arguments.report)
    return show_ledger(place, as_json=arguments.format == "json")


def _options(loaded: settings.Settings) -> Options:
    from agent.options import Options
    from agent.source.api import Access

    own = _own_namespace()
    namespaces = loaded.kubernetes.namespaces or tuple(dict.fromkeys((own, "botkube")))
    return Options(
        access=Access(loaded.kubernetes.kubeconfig, loaded.kubernetes.context),
        namespaces=namespaces,
        selectors=loaded.kubernetes.selectors,
        containers=frozenset(loaded.kubernetes.containers),
        node=loaded.kubernetes.node,
        window_seconds=loaded.window.seconds,
        commit_seconds=loaded.commit.seconds,
        quiet_period_seconds=loaded.privacy.quiet_period_seconds,
        cluster_id=loaded.identity.cluster_id,
        state_path=Path(loaded.state.path) if loaded.state.path else None,
        state_namespace=loaded.state.namespace or own,
        state_name=loaded.state.configmap,
        installation_name=loaded.state.installation_configmap,
        agent_version=__version__,
        destination=_origin(endpoint_for(_endpoint(loaded))),
        rules_paths=loaded.rules.paths,
        minimum=loaded.privacy.minimum,
        lease_name=loaded.lease.name,
        slots=loaded.state.slots,
    )


def _endpoint(loaded: settings.Settings) -> str:
    return loaded.destination.endpoint or loaded.destination.region


def _origin(endpoint: str) -> str:
    """Return where a destination is, without a path, which may be a secret."""
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc}"


def _own_namespace() -> str:
    try:
        return SERVICE_ACCOUNT_NAMESPACE.read_text(encoding="utf-8").strip() or "default"
    except OSError:
        return "default"


def _world() -> World:
    import random
    import uuid

    from agent.options import World

    return World(time.time, random.Random(), uuid.uuid4, os.urandom, time.monotonic)  # noqa: S311 jitter needs no secrecy


if __name__ == "__main__":
    sys.exit(main())
