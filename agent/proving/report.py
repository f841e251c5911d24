"""`prove` as a person or a program reads it: the logs in, the verdict out.

Owns reading the inputs within a limit, and the words of the verdict. Prints no text of a log.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import orjson
from rich.console import Console

from agent.lines import MAX_LINE_BYTES
from agent.preview import decode
from agent.proving.prove import Verdict, preview_texts, prove
from agent.proving.renaming import STYLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent.proving.prove import Failure
    from agent.rules import RuleSet

MAX_BYTES = 16 * 1024 * 1024
MAX_LINES = 300_000
"""What is read of each input: a variant holds all of it in memory, each line with its own cost."""

SEEDS = 2
MAX_SHOWN = 20


def show_proof(
    files: Sequence[str],
    ruleset: RuleSet,
    *,
    window_seconds: int,
    agent_version: str,
    now_seconds: int,
    minimum: int,
    as_json: bool,
) -> int:
    """Prove it for the files; `-` or none is standard input. Return the exit code."""
    names = list(files) or ["-"]
    try:
        read = [_read(name) for name in names]
    except OSError as error:
        print(f"botkube-analytics: cannot read {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    show = partial(
        preview_texts,
        ruleset=ruleset,
        window_seconds=window_seconds,
        agent_version=agent_version,
        now_seconds=now_seconds,
        minimum=minimum,
    )
    verdict = prove([text for text, _ in read], ruleset, seeds=SEEDS, show=show)
    is_cut = any(cut for _, cut in read)
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(_as_data(verdict, is_cut=is_cut)) + b"\n")
        sys.stdout.buffer.flush()
    else:
        for line in _as_text(verdict, is_cut=is_cut, has_names=len(names) > 1):
            Console().print(line, markup=False, highlight=False, soft_wrap=True)
    return _CODES[_word(verdict)]


def _read(name: str) -> tuple[bytes, bool]:
    """Return the text of an input as UTF-8, and whether more would have followed."""
    if name == "-":
        found = sys.stdin.buffer.read(MAX_BYTES + 1)
    else:
        with Path(name).open("rb") as file:
            found = file.read(MAX_BYTES + 1)
    is_cut = len(found) > MAX_BYTES
    if is_cut:
        found = found[: found.rfind(b"\n", 0, MAX_BYTES) + 1 or MAX_BYTES]
    text = b"".join(decode(iter([found])))
    *lines, rest = text.split(b"\n", MAX_LINES)
    if len(lines) == MAX_LINES and rest:
        is_cut, text = True, text.removesuffix(rest)
    return shorten(text), is_cut


def shorten(text: bytes) -> bytes:
    """Take off what no reader of a log sees of a line, but that it was too long."""
    return b"\n".join(line[: MAX_LINE_BYTES + 1] for line in text.split(b"\n"))


def _word(verdict: Verdict) -> str:
    if not verdict.is_usable:
        return "unusable"
    if verdict.has_none:
        return "nothing to prove"
    return "proved" if verdict.is_proved else "not proved"


def _as_data(verdict: Verdict, *, is_cut: bool) -> dict[str, object]:
    return {"verdict": _word(verdict), **attrs.asdict(verdict), "cut": is_cut}


def _as_text(verdict: Verdict, *, is_cut: bool, has_names: bool) -> Iterator[str]:
    yield (
        f"{verdict.lines} lines, {verdict.entries} entries, {verdict.matched} of them matched"
        + (f" (the first {MAX_BYTES >> 20} MiB or {MAX_LINES:,} lines of each)" if is_cut else "")
    )
    yield (
        f"{verdict.words_replaced} words replaced by others, {verdict.words_kept} left because "
        "a decision of the rules rests on them"
    )
    yield (
        f"{verdict.variants} variants tried ({', '.join(STYLES)}), {verdict.events} events "
        f"compared byte for byte, {verdict.values} values checked against the closed lists"
    )
    for failure in verdict.failures[:MAX_SHOWN]:
        yield f"  {_where(failure, has_names=has_names)}: {failure.what}"
    if len(verdict.failures) > MAX_SHOWN:
        yield f"  and {len(verdict.failures) - MAX_SHOWN} more"
    yield f"{_word(verdict)}: {_MEANING[_word(verdict)]}"


_CODES = {"proved": 0, "not proved": 1, "unusable": 2, "nothing to prove": 3}
_MEANING = {
    "proved": "no other text in these logs would have changed a byte of what is sent",
    "not proved": "what would be sent depends on text, or holds a value that is not declared",
    "nothing to prove": "no entry here belongs to a rule, so only their number would be sent",
    "unusable": "there is no log entry of BotKube's here",
}


def _where(failure: Failure, *, has_names: bool) -> str:
    if failure.line is None:
        return "somewhere"
    place = f"line {failure.line}, rule {failure.rule}"
    return f"input {failure.input}, {place}" if has_names else place
