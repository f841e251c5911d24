"""Reads rule files: the shipped set, with or without files and folders of the user's own.

Owns finding and reading the files. Must not know what stands in them; `rules` does.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import field, frozen

from agent.rules import Place, Problem, RuleError, RuleSet, compile_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from agent.rules.nodes import Mapping

SUFFIXES = frozenset({".yaml", ".yml"})
SCENARIO_ENDS = (".scenario.yaml", ".scenario.yml")
MAX_FILE_BYTES = 1 << 20

_MAY_READ = "check the path, and who may read it"
_WHOLE_SET = re.compile(r"^platforms[ \t]*:", re.MULTILINE)


@frozen
class RuleFiles:
    """The texts of a rule set by name, where each of them was read, and what could not be read.

    A name is the path below its folder, so that the digest of a set does not depend on where it
    is mounted. `shipped` are the names of our own files.
    """

    texts: dict[str, str] = field(factory=dict)
    paths: dict[str, str] = field(factory=dict)
    shipped: frozenset[str] = frozenset()
    problems: tuple[Problem, ...] = ()
    unread: dict[str, str | None] = field(factory=dict)
    """Files that are no texts, by path, with what can be made out of them, if anything can."""
    _sound: dict[str, Mapping] = field(factory=dict)

    def compile(self) -> RuleSet:
        """Compile what was read. Raises `RuleError`."""
        return compile_rules(
            self.texts,
            paths=self.paths,
            shipped=self.shipped,
            unread=self.unread,
            sound=self._sound,
        )

    def without(self, faulty: AbstractSet[str]) -> RuleSet:
        """Compile what was read but for some files, given by path. Raises `RuleError`."""
        left = {name: text for name, text in self.texts.items() if self.paths[name] not in faulty}
        shipped = self.shipped & left.keys()
        return compile_rules(left, paths=self.paths, shipped=shipped, sound=self._sound)

    def lost(self, faulty: Iterable[str]) -> dict[str, str]:
        """Return the texts of files at fault, by path."""
        texts = {self.paths[name]: text for name, text in self.texts.items()}
        return {path: texts.get(path) or self.unread.get(path) or "" for path in faulty}


def shipped_folder() -> Path:
    """Return the folder of the shipped rules: inside the wheel, else beside the package."""
    package = Path(__file__).resolve().parent
    inside = package / "default_rules"
    return inside if inside.is_dir() else package.parent / "rules"


def load_rules(paths: Iterable[str] = ()) -> RuleSet:
    """Compile the rules that the given files and folders make. Raises `RuleError`."""
    files = read_files(paths)
    try:
        ruleset = files.compile()
    except RuleError as error:
        raise RuleError([*files.problems, *error.problems]) from None
    if files.problems:
        raise RuleError(files.problems)
    return ruleset


def read_files(paths: Iterable[str] = ()) -> RuleFiles:
    """Read the rule files of a set, and note what cannot be read.

    What is given adds to the shipped rules, unless it declares `platforms` and so is a whole set
    of its own.
    """
    own = _read([Path(path) for path in paths])
    if any(_WHOLE_SET.search(text) for text in own.texts.values()):
        return own
    folder = shipped_folder()
    shipped = _read([folder])
    ours = {Path(path).resolve() for path in shipped.paths.values()}
    # A shipped file that is given once more is the same file.
    added = [name for name, path in own.paths.items() if _resolved(path) not in ours]
    names = {name: f"own/{name}" if name in shipped.texts else name for name in added}
    return RuleFiles(
        shipped.texts | {names[name]: own.texts[name] for name in added},
        shipped.paths | {names[name]: own.paths[name] for name in added},
        frozenset(shipped.texts),
        (*shipped.problems, *own.problems),
        shipped.unread | own.unread,
    )


def is_rule_file(path: Path) -> bool:
    """Whether a file is one of a rule set, by its name."""
    return path.suffix in SUFFIXES and not is_scenario(path)


def is_scenario(path: Path) -> bool:
    """Whether a file is a scenario, by its name."""
    return path.name.endswith(SCENARIO_ENDS)


def is_shipped(place: Place) -> bool:
    """Whether a place is in a file of ours."""
    return shipped_folder() in Path(place.path).parents


def find_scenarios(folder: Path) -> list[Path]:
    """Return the scenario files of a folder."""
    return [path for path in _files(folder) if is_scenario(path)]


def split_scenarios(paths: Sequence[str]) -> tuple[list[str], list[Path]]:
    """Return the paths that make the rule set, and the scenarios that are to be run with it.

    A scenario that is given alone is run with the rules in its own folder.
    """
    scenarios = [Path(path) for path in paths if is_scenario(Path(path))]
    rules = [path for path in paths if not is_scenario(Path(path))]
    beside = []
    for folder in dict.fromkeys(path.parent for path in scenarios):
        is_ours = shipped_folder() in (folder.resolve(), *folder.resolve().parents)
        if not is_ours and any(map(is_rule_file, _files(folder))):
            beside.append(str(folder))
    for folder in map(Path, rules if paths else [str(shipped_folder())]):
        if _is_folder(folder):
            scenarios += find_scenarios(folder)
    return [*rules, *beside], list(dict.fromkeys(scenarios))


def read_text(path: Path) -> str | Problem:
    """Return the text of a file, or what keeps it from being read."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return _problem(path, "this file is larger than 1 MiB", "cut it in two")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        what = f"this file cannot be read: {error.strerror}"
        return _problem(path, what, _MAY_READ)
    except UnicodeDecodeError:
        return _problem(path, "this file is not UTF-8", "save it as UTF-8")


def _read(roots: Iterable[Path]) -> RuleFiles:
    problems: list[Problem] = []
    texts: dict[str, str] = {}
    paths: dict[str, str] = {}
    unread: dict[str, str | None] = {}
    seen: set[Path] = set()
    for number, root in enumerate(roots):
        files = [root]
        if _is_folder(root):
            files = [path for path in _files(root) if is_rule_file(path)]
            lost = list(_lost(root))
            problems += lost
            unread |= dict.fromkeys((one.place.path for one in lost), None)
            if not files and not lost and not find_scenarios(root):
                problems.append(
                    _problem(root, "there is no rule file in this folder", "end a name in .yaml")
                )
        for file in files:
            resolved = _resolved(str(file))
            if resolved in seen:
                continue
            seen.add(resolved)
            text = read_text(file)
            if isinstance(text, Problem):
                problems.append(text)
                unread[str(file)] = _made_out(file)
                continue
            name = str(file.relative_to(root)) if file is not root else str(file)
            name = name if name not in texts else f"{number}/{name}"
            texts[name], paths[name] = text, str(file)
    return RuleFiles(texts, paths, problems=tuple(problems), unread=unread)


def _made_out(path: Path) -> str | None:
    """Return what can be made out of a file that is no text."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(MAX_FILE_BYTES)
    except OSError:
        return None


def _resolved(path: str) -> Path:
    try:
        return Path(path).resolve()
    except (OSError, RuntimeError):  # a link to itself, a name beyond all limits
        return Path(path)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _is_file(path: Path) -> bool:
    """Whether it is a file; one that nobody may look at is, so that reading it says so."""
    try:
        return path.is_file()
    except OSError:
        return True


def _leads_nowhere(path: Path) -> bool:
    try:
        return path.is_symlink() and not path.exists()
    except OSError:
        return False


def _files(folder: Path) -> list[Path]:
    return [path for path in _named(folder) if _is_file(path)]


def _lost(folder: Path) -> Iterator[Problem]:
    """Yield a problem for each folder that cannot be read, and each link to no rule file."""
    refused: list[OSError] = []
    named = _named(folder, refused.append)
    for error in refused:
        what = f"this folder cannot be read: {error.strerror}"
        yield _problem(Path(error.filename), what, _MAY_READ)
    for path in named:
        if _leads_nowhere(path):
            yield _problem(path, "this link leads to no file", "remove it, or put the file there")


def _named(folder: Path, refuse: Callable[[OSError], None] | None = None) -> list[Path]:
    """Return what is called like a rule file below a folder; `refuse` takes what cannot be read."""
    found: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=refuse):
        # A mounted ConfigMap holds its files twice, once behind `..data`; hidden ones are skipped.
        folders[:] = [name for name in folders if not name.startswith(".")]
        shown = [name for name in (*folders, *names) if not name.startswith(".")]
        found += [path for name in shown if (path := Path(place, name)).suffix in SUFFIXES]
    return sorted(found)


def _problem(path: Path, message: str, hint: str) -> Problem:
    return Problem("file", Place(str(path), 1, 1), message, hint)
