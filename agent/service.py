"""The process that `run` is: health port, page, pipeline, destination and an orderly end.

Owns what happens around the pipeline: waiting for a cluster that is not there yet, staying alive
and healthy when switched off, and which exit code an end has.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING

from agent.beginning import SwitchedOff
from agent.election import run_elected
from agent.logs import ANNOUNCEMENT
from agent.modes import Mode
from agent.on_node import run_on_node
from agent.pipeline import Pipeline, run
from agent.prefilter import make_prefilter
from agent.reload import refusal_of, watch_rules
from agent.running import Running
from agent.sink.http import open_session
from agent.sink.senders import make_sender
from agent.source.api import ApiError, NoCluster
from agent.source.discovery import pause_seconds
from agent.state.store import Conflict, StateError
from agent.web.listen import ServerError
from agent.web.loopback import serve_page
from agent.web.metrics import Snapshot
from agent.web.server import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from agent.ledger.ledger import Ledger
    from agent.model import Batch
    from agent.modes import Decision, Switch
    from agent.options import Options, World
    from agent.rules import RuleError, RuleSet
    from agent.sink.outcome import Outcome
    from agent.sink.wire import SendWhile

log = logging.getLogger(__name__)
announcement = logging.getLogger(ANNOUNCEMENT)


async def serve_off(
    decision: Decision,
    listen: tuple[str, int],
    stop: asyncio.Event,
    agent_version: str,
    faults: Iterable[str] = (),
) -> int:
    """Stay alive and healthy, connect to nothing, until stopped; say what else is wrong."""
    try:
        async with serve(*listen, lambda: Snapshot(mode=str(decision.mode))) as port:
            _announce(decision, port, agent_version)
            for fault in faults:
                log.error("setting is wrong", extra={"why": fault})
            await stop.wait()
    except ServerError as error:
        log.error("port cannot be opened", extra={"why": str(error)})
        return 2
    return 0


async def serve_pipeline(
    decision: Decision,
    listen: tuple[str, int],
    ruleset: RuleSet,
    options: Options,
    world: World,
    *,
    key: str | None,
    stop: asyncio.Event,
    ledger: Ledger,
    switches: Iterable[Switch],
    page_port: int,
) -> int:
    """Run the pipeline until stopped; return the exit code. `key` None means local: send nothing.

    It is empty where the destination needs none.
    """
    running = Running(
        decision, ruleset, options, ledger, tuple(switches), key is not None, world.clock
    )
    running.lookout.told = partial(_switched, running)
    running.stand(since=world.monotonic())
    try:
        async with (
            serve(*listen, running.snapshot) as port,
            serve_page(page_port, running.view) as page,
            open_session(options.agent_version) as session,
        ):
            _announce(decision, port, options.agent_version)
            log.info("page", extra={"port": page})
            await ledger.load()

            def make() -> SendWhile | None:
                """Make one for each run: another replica may have sent since the one before."""
                if key is None:
                    return None
                version = options.agent_version
                return make_sender(options.destination, session, key=key, agent_version=version)

            async with asyncio.TaskGroup() as group:
                watching = watch_rules(
                    options.rules_paths,
                    ruleset.digest,
                    running.change_rules,
                    reloading=running.reloading,
                    every_seconds=options.pace.rules,
                )
                watcher = group.create_task(watching, name="rules")
                code = await _keep_running(running, options, world, make=make, stop=stop)
                watcher.cancel()
            log.info("stopped", extra={"code": code})
            return code
    except ServerError as error:
        log.error("port cannot be opened", extra={"why": str(error)})
        return 2


def refuse_rules(error: RuleError) -> int:
    """Say that there is no set to run with; return the exit code."""
    log.error("rules refused, there is no set to start with", extra=refusal_of(error))
    return 2


async def _keep_running(
    running: Running,
    options: Options,
    world: World,
    *,
    make: Callable[[], SendWhile | None],
    stop: asyncio.Event,
) -> int:
    """Begin again: with growing waits while something cannot be used yet, slowly while off."""
    failures = 0
    said = ""
    while not stop.is_set():
        ended = await _run_once(running, options, world, make=make, stop=stop)
        if isinstance(ended, int):
            return ended
        if isinstance(ended, SwitchedOff):
            failures, said = 0, ""
            running.cannot_begin = ""
            await _wait(stop, options.pace.switches)
            continue
        failures += 1
        running.leads = None
        running.cannot_begin = _in_closed_words(ended)
        if str(ended) != said:
            log.error("cannot begin, will try again", extra={"why": str(ended)})
        said = str(ended)
        refusal = ended if isinstance(ended, ApiError) else None
        await _wait(stop, pause_seconds(failures, refusal, world.random))
    return 0


def _in_closed_words(error: ApiError | StateError) -> str:
    """Say why a run cannot begin, without the names that the log may have."""
    if isinstance(error, StateError):
        return "the state or the installation object cannot be used"
    if error.status:
        return f"the API server answers with status {error.status}"
    return "the API server gives no answer"


async def _run_once(
    running: Running,
    options: Options,
    world: World,
    *,
    make: Callable[[], SendWhile | None],
    stop: asyncio.Event,
) -> int | SwitchedOff | ApiError | StateError:
    """Run the pipeline; return the exit code, or why it is to be begun again."""
    try:
        await _work(running, options, world, make=make, stop=stop)
    except NoCluster as error:
        log.error("no cluster", extra={"why": str(error)})
        return 3
    except Conflict as error:
        log.error("another agent has taken over", extra={"why": str(error)})
        return 3
    except (ApiError, StateError, SwitchedOff) as error:
        return error
    except ExceptionGroup as group:
        if group.subgroup(Conflict) is not None:
            log.error("another agent has taken over", extra={"why": "state was changed"})
            return 3
        if group.subgroup(SwitchedOff) is not None:
            return SwitchedOff()
        # A fault of ours: the next process goes on from the last commit.
        log.exception("a task has failed")
        return 1
    return 0


async def _work(
    running: Running,
    options: Options,
    world: World,
    *,
    make: Callable[[], SendWhile | None],
    stop: asyncio.Event,
) -> None:
    """Run as the one of its node, as one of several replicas, or as the only agent."""
    send = make()

    async def noted(batch: Batch, *, sent_seconds: float, may_go_on: Callable[[], bool]) -> Outcome:
        assert send is not None
        outcome = await send(batch, sent_seconds=sent_seconds, may_go_on=may_go_on)
        running.note(batch, outcome, sent_seconds)
        return outcome

    def started(pipeline: Pipeline) -> None:
        running.pipeline, running.cannot_begin, running.has_tried = pipeline, "", False
        if pipeline.containers.ruleset is not running.ruleset:
            running.change_rules(running.ruleset, make_prefilter(running.ruleset.literals))
        log.info("started", extra={"digest": running.ruleset.digest})

    def term(check: Callable[[], None] = lambda: None) -> Coroutine[None, None, None]:
        return run(
            options,
            running.ruleset,
            world,
            send=None if send is None else noted,
            started=started,
            stop=stop,
            ledger=running.ledger,
            lookout=running.lookout,
            check=check,
            standing_since=running.standing_since,
            saw_none=running.saw_none,
        )

    if not options.slots and options.lease_name is None:
        await term()
        return
    on_node = partial(run_on_node, none_here=running.see_none, answers=running.answers)
    in_turn = on_node if options.slots else run_elected
    is_again, running.has_tried = running.has_tried, True
    await in_turn(
        options,
        world,
        term,
        stand_by=running.stand_by,
        lead=running.lead,
        stop=stop,
        lookout=running.lookout,
        is_again=is_again,
    )


def _switched(running: Running, found: Iterable[Switch]) -> None:
    before = running.decision
    running.switch(found)
    if running.decision != before:
        what = {"mode": str(running.decision.mode), "why": running.decision.why}
        announcement.warning("mode", extra=what)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass


def _announce(decision: Decision, port: int, agent_version: str) -> None:
    level = logging.INFO if decision.mode is Mode.ON else logging.WARNING
    what = {"mode": str(decision.mode), "why": decision.why, "version": agent_version, "port": port}
    announcement.log(level, "mode", extra=what)
