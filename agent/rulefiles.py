"""Reads rule files: the shipped set, with or without files and folders of the user's own.

Owns finding and reading the files. Must not know what stands in them; `rules` does.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from agent.rules import Place, Problem, RuleError, RuleSet, compile_rules

if TYPE_CHECKING:
    from collections.abc import Iterable

SUFFIXES = frozenset({".yaml", ".yml"})
SCENARIO_ENDS = (".scenario.yaml", ".scenario.yml")
MAX_FILE_BYTES = 1 << 20

_WHOLE_SET = re.compile(r"^platforms:", re.MULTILINE)


@frozen
class RuleFiles:
    """The texts of a rule set by name, and where each of them was read.

    A name is the path below its folder, so that the digest of a set does not depend on where it
    is mounted.
    """

    texts: dict[str, str]
    paths: dict[str, Path]

    def relocate(self, problems: Iterable[Problem]) -> list[Problem]:
        """Return the problems with the paths of the files instead of their names in the set."""
        return [
            evolve(one, place=evolve(one.place, path=str(self.paths[one.place.path])))
            if one.place.path in self.paths
            else one
            for one in problems
        ]


def shipped_folder() -> Path:
    """Return the folder of the shipped rules: inside the wheel, else beside the package."""
    package = Path(__file__).resolve().parent
    inside = package / "default_rules"
    return inside if inside.is_dir() else package.parent / "rules"


def load_rules(paths: Iterable[str] = ()) -> RuleSet:
    """Compile the rules that the given files and folders make. Raises `RuleError`."""
    files = read_files(paths)
    try:
        return compile_rules(files.texts)
    except RuleError as error:
        raise RuleError(files.relocate(error.problems)) from None


def read_files(paths: Iterable[str] = ()) -> RuleFiles:
    """Read the rule files of a set. Raises `RuleError` for what cannot be read.

    What is given adds to the shipped rules, unless it declares `platforms` and so is a whole set
    of its own.
    """
    roots = [Path(path) for path in paths]
    found = _read(roots)
    if any(_WHOLE_SET.search(text) for text in found.texts.values()):
        return found
    return _read([shipped_folder(), *roots])


def is_rule_file(path: Path) -> bool:
    """Whether a file is one of a rule set, by its name."""
    return path.suffix in SUFFIXES and not path.name.endswith(SCENARIO_ENDS)


def find_scenarios(folder: Path) -> list[Path]:
    """Return the scenario files of a folder."""
    return [path for path in _files(folder) if path.name.endswith(SCENARIO_ENDS)]


def _read(roots: Iterable[Path]) -> RuleFiles:
    problems: list[Problem] = []
    texts: dict[str, str] = {}
    paths: dict[str, Path] = {}
    seen: set[Path] = set()
    for root in roots:
        files = list(filter(is_rule_file, _files(root))) if root.is_dir() else [root]
        if not files and not find_scenarios(root):
            problems.append(_problem(root, "there is no rule file in this folder"))
        for file in files:
            if file.resolve() in seen:
                continue
            seen.add(file.resolve())
            name = str(file.relative_to(root) if root.is_dir() else file)
            name = name if name not in texts else str(file)
            try:
                if file.stat().st_size > MAX_FILE_BYTES:
                    problems.append(_problem(file, "this file is larger than 1 MiB"))
                    continue
                texts[name] = file.read_text(encoding="utf-8")
                paths[name] = file
            except OSError as error:
                problems.append(_problem(file, f"this file cannot be read: {error.strerror}"))
            except UnicodeDecodeError:
                problems.append(_problem(file, "this file is not UTF-8"))
    if problems:
        raise RuleError(problems)
    return RuleFiles(texts, paths)


def _files(folder: Path) -> list[Path]:
    # A mounted ConfigMap holds its files twice, once behind `..data`; hidden folders are skipped.
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def _problem(path: Path, message: str) -> Problem:
    return Problem("file", Place(str(path), 1, 1), message)
