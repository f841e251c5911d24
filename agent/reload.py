"""Watches the user's rule files and hands over each new set that compiles.

Owns noticing a change, be it a swap of a mounted ConfigMap's `..data` or an edit, and refusing a
set that does not compile: the last good one stays in force. Must not know what is done with a set.
Reading and compiling happen in a thread; files that change meanwhile are read again.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import define

from agent.prefilter import Prefilter, make_prefilter
from agent.rulefiles import load_rules
from agent.rules import Place, Problem, RuleError
from agent.rules.codes import HARMLESS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.rules import RuleSet

    Apply = Callable[[RuleSet, Prefilter], None]
    _Look = tuple[tuple[str, int, int, int], ...]

log = logging.getLogger(__name__)

MOUNTED = "..data"


@define
class Reloading:
    """What pages show of it: how many sets were refused, and whether the latest one was."""

    failures: int = 0
    is_refused: bool = False


async def watch_rules(
    paths: Sequence[str],
    digest: str,
    apply: Apply,
    *,
    reloading: Reloading,
    every_seconds: float,
) -> None:
    """Look at the files again and again; `apply` each good set that is not the one in force."""
    seen: _Look | None = None
    while paths:
        await asyncio.sleep(every_seconds)
        look = await asyncio.to_thread(_look, paths)
        if look == seen:
            continue
        found = await asyncio.to_thread(_load, paths)
        if await asyncio.to_thread(_look, paths) != look:
            continue  # what was read may be half of one set and half of another
        seen = look
        reloading.is_refused = isinstance(found, RuleError)
        if isinstance(found, RuleError):
            reloading.failures += 1
            _tell(found)
        elif found[0].digest != digest:
            ruleset, prefilter = found
            digest = ruleset.digest
            apply(ruleset, prefilter)
            log.info("rules changed", extra={"digest": digest, "rules": len(ruleset.rules)})


def _tell(error: RuleError) -> None:
    log.error(
        "rules refused, the last good set stays in force",
        extra=refusal_of(error),
        exc_info=error.__cause__,
    )


def refusal_of(error: RuleError) -> dict[str, object]:
    """Return what may be logged of a refusal: no text of a rule file."""
    first = next((one for one in error.problems if one.code not in HARMLESS), error.problems[0])
    return {
        "count": len(error.problems),
        "code": first.code,
        "place": f"{first.place.path}:{first.place.line}",
    }


def _load(paths: Sequence[str]) -> tuple[RuleSet, Prefilter] | RuleError:
    try:
        ruleset = load_rules(paths)
        ruleset.messages  # noqa: B018 compiled here and kept, so that the loop does not wait for it
        return ruleset, make_prefilter(ruleset.literals)
    except RuleError as error:
        return error
    except Exception as error:  # noqa: BLE001 the edge of a task: no file may end the agent
        refusal = RuleError([Problem("internal", Place(paths[0], 1, 1), type(error).__name__)])
        refusal.__cause__ = error
        return refusal


def _look(paths: Sequence[str]) -> _Look:
    """Return what changes whenever the files do; a file that is gone meanwhile is not there."""
    found = []
    for root in map(Path, paths):
        mounted = [root / MOUNTED] if root.is_dir() else []
        for path in [root, *mounted, *(sorted(root.rglob("*")) if root.is_dir() else ())]:
            try:
                status = path.stat()
            except OSError:
                continue
            found.append((str(path), status.st_ino, status.st_mtime_ns, status.st_size))
    return tuple(found)
