"""Reads rule files: the shipped set, or the files and folders that settings name.

Owns finding and reading the files. Must not know what stands in them; `rules` does.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agent.rules import Place, Problem, RuleError, RuleSet, compile_rules

if TYPE_CHECKING:
    from collections.abc import Iterable

SUFFIXES = frozenset({".yaml", ".yml"})
MAX_FILE_BYTES = 1 << 20


def shipped_folder() -> Path:
    """Return the folder of the shipped rules: inside the wheel, else beside the package."""
    package = Path(__file__).resolve().parent
    inside = package / "default_rules"
    return inside if inside.is_dir() else package.parent / "rules"


def load_rules(paths: Iterable[str] = ()) -> RuleSet:
    """Compile the rules of the given files and folders, or the shipped ones. Raises `RuleError`."""
    return compile_rules(read_files(paths))


def read_files(paths: Iterable[str] = ()) -> dict[str, str]:
    """Return path -> text of every rule file. Raises `RuleError` for what cannot be read."""
    texts: dict[str, str] = {}
    problems: list[Problem] = []
    roots = [Path(path) for path in paths] or [shipped_folder()]
    for root in roots:
        files = sorted(_rule_files(root)) if root.is_dir() else [root]
        if not files:
            problems.append(_problem(root, "there is no rule file in this folder"))
        for file in files:
            name = str(file.relative_to(root) if root.is_dir() else file)
            try:
                if file.stat().st_size > MAX_FILE_BYTES:
                    problems.append(_problem(file, "this file is larger than 1 MiB"))
                    continue
                texts[name] = file.read_text(encoding="utf-8")
            except OSError as error:
                problems.append(_problem(file, f"this file cannot be read: {error.strerror}"))
            except UnicodeDecodeError:
                problems.append(_problem(file, "this file is not UTF-8"))
    if problems:
        raise RuleError(problems)
    return texts


def _rule_files(folder: Path) -> Iterable[Path]:
    # A mounted ConfigMap holds its files twice, once behind `..data`; hidden folders are skipped.
    return (
        path
        for path in folder.rglob("*")
        if path.suffix in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def _problem(path: Path, message: str) -> Problem:
    return Problem("file", Place(str(path), 1, 1), message)
