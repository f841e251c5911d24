"""The programs that the agent is compared with: which are here, and what CPU they take.

Owns how each is called. The rules' literals are grep's and ripgrep's patterns; mtail gets a program
with one pattern for each rule, which counts as many entries by rule and platform.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agent.rules import Rule, RuleSet

NAMES = ("grep", "rg", "mtail", "curl", "kubectl")
_SPECIAL = re.compile(rb"([\\\[\](){}.*+?^$|/])")
_WORD = re.compile(r"\(\?P<word>")


def installed() -> frozenset[str]:
    """Return the peers that are here."""
    return frozenset(name for name in NAMES if shutil.which(name))


def cpu_seconds(call: Sequence[str], *, output: int = subprocess.PIPE) -> float:
    """Run a program to its end; return its CPU seconds, of user and system."""
    before = _children_seconds()
    environment = {**os.environ, "LC_ALL": "C"}
    # Of grep and ripgrep 1 says that nothing was found. Both stop at the first line that they find
    # if nobody reads what they print.
    done = subprocess.run(  # noqa: S603 the peers
        call, env=environment, stdout=output, stderr=subprocess.PIPE, check=False
    )
    fine = {0, 1} if call[0] in {"grep", "rg"} else {0}
    assert done.returncode in fine, (call, done.stderr[-2000:])
    return _children_seconds() - before


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def write_literals(ruleset: RuleSet, folder: Path) -> Path:
    """Write the rules' literals as extended regular expressions, one a line."""
    path = folder / "literals"
    path.write_bytes(b"".join(_SPECIAL.sub(rb"\\\1", one) + b"\n" for one in ruleset.literals))
    return path


def write_mtail(rules: Iterable[Rule], path: Path) -> Path:
    """Write rules as a program for mtail, which looks at lines and not at entries.

    Each stands behind its literals, which Go finds faster than patterns.
    """
    parts = ["counter entries by rule, platform\n"]
    for rule in rules:
        guard = b"|".join(_SPECIAL.sub(rb"\\\1", one) for one in rule.literals).decode()
        pattern = rule.pattern.removesuffix("$").replace("/", "\\/").replace("\n", "\\n")
        platform = "$word" if _WORD.search(pattern) else '"none"'
        parts.append(f"/{guard}/ {{\n/{pattern}/ {{\n")
        parts.append(f'entries["{rule.id}"][{platform}]++\n}}\n}}\n')
    path.write_text("".join(parts))
    return path


def mtail(program: Path, log: Path) -> list[str]:
    """Return the call by which mtail counts a log and ends."""
    return ["mtail", "--one_shot", "--logtostderr", "--progs", str(program), "--logs", str(log)]
