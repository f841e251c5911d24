"""The commands: what each of them loads and calls, and with which exit code it ends.

Owns that bad input never shows a traceback. Everything else is a call into the package, which each
command imports for itself: those that read files alone need no HTTP client.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from agent import __version__, settings
from agent.arguments import make_parser
from agent.modes import Mode
from agent.rulefiles import load_rules
from agent.rules import RuleError
from agent.sink.endpoint import EndpointError, WriteKeyError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.options import Options, World

SERVICE_ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def run(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        arguments = make_parser(COMMANDS, settings.add_flags).parse_args(argv)
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

    from agent import logs, service
    from agent.ledger.directory import Directory
    from agent.ledger.ledger import Ledger

    if loaded.destination.type == "stdout" and sys.stdout is None:
        return _refuse("standard output is closed")
    # Standard output is for the events where it is the destination.
    logs.configure(loaded.log.level, sys.stderr if loaded.destination.type == "stdout" else None)
    mode = settings.mode(loaded)
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
        return runner.run(
            service.serve_pipeline(
                mode,
                listen,
                ruleset,
                _options(loaded),
                _world(),
                key=(loaded.destination.write_key or "") if mode.mode is Mode.ON else None,
                stop=stop,
                ledger=Ledger(Directory(Path(loaded.ledger.path)) if loaded.ledger.path else None),
                switches=settings.switches(loaded),
                page_port=loaded.page.port,
            )
        )


def _preview(arguments: argparse.Namespace) -> int:
    from functools import partial

    from agent.previewing import show_preview
    from agent.sink.translations import shown_by

    shown = shown_by(settings.destination(_load(arguments)))
    return _look_through(arguments, partial(show_preview, show=shown))


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
    mode = settings.mode(loaded)
    terms = Terms(
        loaded.identity.cluster_id,
        loaded.window.seconds,
        loaded.privacy.minimum,
        settings.destination(loaded).name,
        loaded.privacy.quiet_period_seconds,
        mode.mode,
    )
    try:
        return show_plan(
            load_rules(loaded.rules.paths),
            terms,
            against=arguments.against,
            acknowledged=arguments.acknowledge,
            as_json=arguments.format == "json",
            kind=loaded.destination.type,
        )
    except PlanError as error:
        return _refuse(str(error))


def _audit(arguments: argparse.Namespace) -> int:
    from agent.auditing import show_audit

    return show_audit(arguments.files, is_part=arguments.part, as_json=arguments.format == "json")


def _report(arguments: argparse.Namespace) -> int:
    from datetime import UTC, datetime

    from agent.statistics.report import show_report

    return show_report(
        arguments.sources,
        Path(arguments.output),
        least=arguments.suppress_below,
        agent_version=__version__,
        now=datetime.now(UTC),
    )


def _status(arguments: argparse.Namespace) -> int:
    import asyncio

    from agent import logs
    from agent.ask import ask_status
    from agent.status import show_running, show_status

    loaded = _load(arguments)
    logs.configure("error", sys.stderr)  # on the other is what was asked for
    mode = settings.mode(loaded)
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
    from agent.source.api import context_namespace

    loaded = _load(arguments)
    logs.configure("error", sys.stderr)  # on the other is what was asked for
    options = _options(loaded)
    homes: tuple[str, ...] = ()
    is_elsewhere = arguments.deployed and not SERVICE_ACCOUNT_NAMESPACE.exists()
    if arguments.deployed:
        options = evolve(options, state_path=None)
    if is_elsewhere:
        own = context_namespace(options.access)
        guessed = [*filter(None, (own,)), *(loaded.kubernetes.namespaces or ("botkube",))]
        if not loaded.kubernetes.namespaces:
            options = evolve(options, namespaces=tuple(dict.fromkeys(guessed)))
        # An agent keeps its State where it runs: with BotKube, or in a namespace of its own.
        homes = () if loaded.state.namespace else tuple(dict.fromkeys(guessed))
    patient = Patient(
        options,
        settings.switches(loaded),
        has_destination=settings.has_destination(loaded),
        load_rules=lambda: load_rules(loaded.rules.paths),
        clock=time.time,
        guessed=frozenset() if loaded.kubernetes.namespaces else frozenset(options.namespaces),
        is_elsewhere=is_elsewhere,
        homes=homes,
    )
    return asyncio.run(show_doctor(patient, as_json=arguments.format == "json"))


def _ledger(arguments: argparse.Namespace) -> int:
    from agent.kept import Place, show_entry, show_ledger

    loaded = _load(arguments)
    mode = settings.mode(loaded)
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
        deployments=loaded.kubernetes.deployments,
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
        destination=settings.destination(loaded),
        rules_paths=loaded.rules.paths,
        minimum=loaded.privacy.minimum,
        lease_name=loaded.lease.name,
        slots=loaded.state.slots,
    )


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


COMMANDS = {
    "run": _run,
    "preview": _preview,
    "prove": _prove,
    "plan": _plan,
    "audit": _audit,
    "report": _report,
    "status": _status,
    "doctor": _doctor,
    "ledger": _ledger,
}
