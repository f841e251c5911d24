"""A closed list of words, and which of them a text stands for.

Owns the options of every pattern that looks at a text: bytes, bounded memory, no printing.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import re2
from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.rules.places import Place


def options() -> re2.Options:
    """RE2 options for all patterns: bytes as they are, no printing to stderr, bounded memory."""
    made = re2.Options()
    made.encoding = re2.Options.Encoding.LATIN1
    made.log_errors = False
    made.max_mem = 8 << 20
    return made


@frozen(eq=False, slots=False)
class Vocabulary:
    """A closed list of words. `exact` compares whole texts without case, `search` looks inside.

    What the groups of `hide` take in (names that users chose) is not looked at.
    """

    name: str
    place: Place
    kind: str
    words: Mapping[str, tuple[str, ...]]
    hide: re2._Regexp | None = None

    @cached_property
    def _exact(self) -> dict[bytes, str]:
        return {text.lower().encode(): word for word, texts in self.words.items() for text in texts}

    @cached_property
    def _searched(self) -> tuple[re2.Set, tuple[str, ...]]:
        found = re2.Set.SearchSet(options())
        order: list[str] = []
        for word, patterns in self.words.items():
            for pattern in patterns:
                found.Add(pattern.encode())
                order.append(word)
        found.Compile()
        return found, tuple(order)

    def word(self, text: bytes) -> str | None:
        """Return the word for a text, or None if it is not in the vocabulary.

        Where several patterns of a `search` vocabulary are found, the first declared wins.
        """
        if self.kind == "exact":
            return self._exact.get(text.strip().lower())
        found, order = self._searched
        hits = found.Match(text if self.hide is None else without(self.hide, text))
        return order[min(hits)] if hits else None


def without(hide: re2._Regexp, text: bytes) -> bytes:
    """Return a text without what the groups of a pattern take in."""
    kept, end = [], 0
    for found in hide.finditer(text):
        for begin, after in _spans(found)[1:]:
            if begin >= end:
                kept.append(text[end:begin])
                end = after
    return b"".join([*kept, text[end:]]) if kept else text


def named_groups(found: re2._Match) -> dict[str, bytes]:
    """Return the named groups that took part in a match."""
    text, spans = found.string, _spans(found)
    return {
        name: text[spans[group][0] : spans[group][1]]
        for name, group in _names(found.re)
        if spans[group][0] >= 0
    }


@lru_cache(maxsize=4096)
def _names(pattern: re2._Regexp) -> tuple[tuple[str, int], ...]:
    """Return the named groups of a pattern; RE2 names those of a bytes pattern in bytes."""
    return tuple((name.decode(), group) for name, group in pattern.groupindex.items())


def _spans(found: re2._Match) -> Sequence[tuple[int, int]]:
    # `span` and `groupdict` ask the library for the number of groups at each of them, which is a
    # third of the time that a match takes.
    return found._spans  # type: ignore[no-any-return]  # noqa: SLF001
