"""The process that `run` is: health port, pipeline, destination and an orderly end.

Owns what happens around the pipeline: waiting for a cluster that is not there yet, staying alive
and healthy when switched off, and which exit code an end has.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from agent.logs import ANNOUNCEMENT
from agent.match import make_prefilter
from agent.modes import Mode
from agent.pipeline import Pipeline, run
from agent.reload import Reloading, watch_rules
from agent.sink.outcome import Delivered, Outcome, Retry
from agent.sink.segment import Segment, open_session
from agent.source.api import ApiError, NoCluster
from agent.source.discovery import pause_seconds
from agent.state.store import Conflict, StateError
from agent.web.metrics import Snapshot
from agent.web.server import ServerError, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent.model import Batch
    from agent.modes import Decision
    from agent.pipeline import Options, World
    from agent.rules import RuleSet

log = logging.getLogger(__name__)
announcement = logging.getLogger(ANNOUNCEMENT)


class Running:
    """What the health port shows: the pipeline once it runs, and what the destination answered."""

    def __init__(self, decision: Decision, ruleset: RuleSet) -> None:
        self.decision = decision
        self.ruleset = ruleset
        self.pipeline: Pipeline | None = None
        self.reloading = Reloading()
        self.delivered = self.retried = self.rejected = self.events = 0
        self.last_delivery: float | None = None

    def change_rules(self, ruleset: RuleSet, prefilter: Callable[[bytes], bool]) -> None:
        """Put another rule set in force."""
        self.ruleset = ruleset
        if self.pipeline is not None:
            self.pipeline.change_rules(ruleset, prefilter)

    def note(self, batch: Batch, outcome: Outcome, at: float) -> None:
        """Count what came of one send."""
        if isinstance(outcome, Delivered):
            self.delivered += 1
            self.events += batch.events
            self.last_delivery = at
        elif isinstance(outcome, Retry):
            self.retried += 1
        else:
            self.rejected += 1

    def snapshot(self) -> Snapshot:
        """Return all figures of this moment."""
        base = Snapshot(
            mode=str(self.decision.mode),
            rules_loaded=len(self.ruleset.rules),
            rules_digest=self.ruleset.digest,
            rules_reload_failures=self.reloading.failures,
            are_rules_refused=self.reloading.is_refused,
        )
        return base if self.pipeline is None else self._full(self.pipeline)

    def _full(self, pipeline: Pipeline) -> Snapshot:
        counting, containers = pipeline.counting, pipeline.containers
        follows = list(containers.follows.values())
        document = counting.document
        return Snapshot(
            mode=str(self.decision.mode),
            is_listed=pipeline.is_listed,
            lines_read=counting.lines,
            lines_matched=counting.matched,
            noise_lines=containers.ended.noise + sum(one.reader.noise for one in follows),
            lines_cut=containers.ended.cut + sum(one.reader.cut for one in follows),
            observations=counting.observed,
            gap_seconds=counting.gap_seconds,
            pair_bounds_hit=containers.ended.bounds + sum(one.reader.bound_hits for one in follows),
            containers_followed=len(follows),
            streams_opened=containers.ended.opened + sum(one.opened for one in follows),
            stream_errors=containers.ended.errors + sum(one.errors for one in follows),
            windows_open=len(document.windows.open),
            windows_closed=counting.windows_closed,
            outbox_batches=len(document.outbox),
            outbox_bytes=document.outbox_bytes,
            batches_delivered=self.delivered,
            batches_retried=self.retried,
            batches_rejected=self.rejected,
            events_accepted=self.events,
            last_delivery_seconds=self.last_delivery,
            commits=pipeline.commits,
            commit_failures=pipeline.commit_failures,
            rules_loaded=len(self.ruleset.rules),
            rules_digest=self.ruleset.digest,
            rules_reload_failures=self.reloading.failures,
            are_rules_refused=self.reloading.is_refused,
        )


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
        log.error("health port cannot be opened", extra={"why": str(error)})
        return 2
    return 0


async def serve_pipeline(
    decision: Decision,
    listen: tuple[str, int],
    ruleset: RuleSet,
    options: Options,
    world: World,
    *,
    endpoint: str,
    write_key: str | None,
    stop: asyncio.Event,
) -> int:
    """Run the pipeline until stopped; return the exit code."""
    running = Running(decision, ruleset)
    try:
        async with (
            serve(*listen, running.snapshot) as port,
            open_session(options.agent_version) as session,
        ):
            _announce(decision, port, options.agent_version)
            segment = (
                Segment(session, endpoint, write_key, options.agent_version) if write_key else None
            )
            async with asyncio.TaskGroup() as group:
                watching = watch_rules(
                    options.rules_paths,
                    ruleset.digest,
                    running.change_rules,
                    reloading=running.reloading,
                    every_seconds=options.pace.rules,
                )
                watcher = group.create_task(watching, name="rules")
                code = await _keep_running(running, options, world, segment=segment, stop=stop)
                watcher.cancel()
            log.info("stopped", extra={"code": code})
            return code
    except ServerError as error:
        log.error("health port cannot be opened", extra={"why": str(error)})
        return 2


async def _keep_running(
    running: Running,
    options: Options,
    world: World,
    *,
    segment: Segment | None,
    stop: asyncio.Event,
) -> int:
    """Begin again, with growing waits, while the cluster or State cannot be used yet."""

    async def send(batch: Batch, *, sent_seconds: float) -> Outcome:
        assert segment is not None
        outcome = await segment.send(batch, sent_seconds=sent_seconds)
        running.note(batch, outcome, sent_seconds)
        return outcome

    def started(pipeline: Pipeline) -> None:
        running.pipeline = pipeline
        if pipeline.containers.ruleset is not running.ruleset:
            running.change_rules(running.ruleset, make_prefilter(running.ruleset.literals))
        log.info("started", extra={"digest": running.ruleset.digest})

    failures = 0
    said = ""
    while not stop.is_set():
        problem: Exception | None = None
        try:
            await run(
                options,
                running.ruleset,
                world,
                send=send if segment is not None else None,
                started=started,
                stop=stop,
            )
        except NoCluster as error:
            log.error("no cluster", extra={"why": str(error)})
            return 3
        except Conflict as error:
            log.error("another agent has taken over", extra={"why": str(error)})
            return 3
        except (ApiError, StateError) as error:
            problem = error
        except ExceptionGroup as group:
            if group.subgroup(Conflict) is not None:
                log.error("another agent has taken over", extra={"why": "state was changed"})
                return 3
            # A fault of ours: the next process goes on from the last commit.
            log.exception("a task has failed")
            return 1
        if problem is not None:
            failures += 1
            if str(problem) != said:
                log.error("cannot begin, will try again", extra={"why": str(problem)})
            said = str(problem)
            refusal = problem if isinstance(problem, ApiError) else None
            await _wait(stop, pause_seconds(failures, refusal, world.random))
    return 0


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
