"""Where something stands in a rule file, and what is wrong there.

Owns the form of a fault and the list in which one run collects all of them. Must not know what a
rule is. Pure.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from attrs import field, frozen

from agent.rules.codes import HARMLESS

if TYPE_CHECKING:
    from collections.abc import Iterable


_WRITTEN = {
    "'": re.compile("''|."),
    '"': re.compile(r"\\(?:x..|u.{4}|U.{8}|.)|."),
}
"""What stands for one character of a text, by the quote that the text begins with."""


@frozen(order=True)
class Place:
    """A place in a rule file; line and column count from 1.

    Of a text on one line it knows how it is `written`, quotes and all.
    """

    path: str
    line: int
    column: int
    written: str = field(default="", eq=False, order=False, repr=False)

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"

    def within(self, text: str, index: int) -> Place:
        """Return where a character of the text that begins here stands, if that can be told."""
        begin, end = 0, len(self.written)
        if (pattern := _WRITTEN.get(self.written[:1])) is None:
            starts = list(range(end))
        else:
            begin, end = 1, end - 1
            starts = [found.start() for found in pattern.finditer(self.written, begin, end)]
        if len(starts) != len(text):
            return self
        return Place(self.path, self.line, self.column + [*starts, end][index])


@frozen
class Problem:
    """One fault of a rule file: a stable code, what is wrong, and what to write instead."""

    code: str
    place: Place
    message: str
    hint: str = ""

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.place}: {self.code}: {self.message}{hint}"


class RuleError(Exception):
    """All faults that were found in all files of a rule set."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


MAX_LISTED = 30


DECLARED = frozenset({"rule", "event", "vocabulary", "fragment", "fact", "category"})
"""What a file declares by name."""


class Problems:
    """Collects the faults of one run, so that all are reported at once.

    What a file at fault declares and uses is not known: a name that only such a file has is not
    called unknown, and one that only it may use not unused. `texts` are those of all files,
    `unread` the paths of those that are no YAML, `shared` of those that are no rule. `lost` are
    names of rules whose id is at fault.
    """

    def __init__(self) -> None:
        self.found: list[Problem] = []
        self.texts: dict[str, str] = {}
        self.unread: set[str] = set()
        self.shared: set[str] = set()
        self.lost: set[str] = set()
        self.unnamed: set[str] = set()
        """Kinds of which a name is used that nobody declares."""

    @property
    def faulty(self) -> set[str]:
        """The paths of all files at fault, but for faults that change nothing."""
        return self.unread | {one.place.path for one in self.found if one.code not in HARMLESS}

    def names(self, name: str, place: Place, among: Iterable[str]) -> bool:
        """Whether one of these files at fault has a name, at another place than this one."""
        word = re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")
        return any(
            len(word.findall(self.texts.get(path, ""))) > (path == place.path)
            for path in self.faulty.intersection(among)
        )

    def add(self, code: str, place: Place, message: str, hint: str = "") -> None:
        """Note one fault."""
        self.found.append(Problem(code, place, message, hint))

    def unknown(
        self,
        what: str,
        name: str,
        place: Place,
        known: Iterable[str],
        *,
        meant: str | None = None,
    ) -> str | None:
        """Note a name that does not exist; return the one that was probably meant.

        The caller goes on as if that one stood there, so that one slip is one fault. `meant` is
        better than a guess by the letters.
        """
        if what in DECLARED and self.may_declare(what, name, place):
            self.unnamed.add(what)
            return None
        options = sorted(set(known))
        near = meant or nearest_name(name, options)
        if near is None:
            self.unnamed.add(what)
        hint = f"did you mean {near}?" if near else listed(options)
        self.add("unknown-name", place, f"no {what} is called {name!r}", hint)
        return near

    def may_declare(self, what: str, name: str, place: Place) -> bool:
        """Whether a name that is not known may be declared where a file is at fault."""
        if what == "rule" and name in self.lost | set(map(stem, self.unread)):
            return True
        if self.unread - self.texts.keys():
            return True
        return self.names(name, place, self.unread | self.shared)


def stem(path: str) -> str:
    """Return the name of a file without what it ends in: the id of its rule, as a rule."""
    return path.rpartition("/")[2].partition(".")[0]


def nearest_name(name: str, options: Iterable[str], *, least: float = 0.6) -> str | None:
    """Return the name that a misspelt one is most like, if one is at least so much like it."""
    names = list(options)
    folded = {one.casefold(): one for one in names}
    if name.casefold() in folded:
        return folded[name.casefold()]
    return next(iter(difflib.get_close_matches(name, names, n=1, cutoff=least)), None)


def listed(options: Iterable[str]) -> str:
    """Say which names there are."""
    names = list(options)
    if not names:
        return "there is none yet"
    return f"known: {', '.join(names[:MAX_LISTED])}{', ...' if len(names) > MAX_LISTED else ''}"
