"""The prefilter: which texts contain any literal that a rule needs, and where in many lines.

Owns the search for all literals at once. Must not know lines, entries or rules. With and without
the prefilter what is counted is identical.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import re2
from attrs import frozen

from agent.rules.words import options

try:
    import hyperscan
except ImportError:  # no wheel for this platform
    hyperscan = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Prefilter(Protocol):
    """The search for all literals of a rule set."""

    def __call__(self, text: bytes, /) -> bool:
        """Whether a text contains at least one of the literals."""

    def places(self, block: bytes, /) -> Sequence[int]:
        """Return, in order, where literals begin."""


def make_prefilter(literals: Iterable[bytes]) -> Prefilter:
    """Return the search for these literals.

    Hyperscan where a wheel of it exists, RE2 where none does: slower, with the same results.
    """
    return _make(tuple(sorted(set(literals))))


@lru_cache(maxsize=1)  # each term of a replica begins with the rules of the last
def _make(sought: tuple[bytes, ...]) -> Prefilter:
    if not sought:
        return _Nothing()
    return search_with_re2(sought) if hyperscan is None else search_with_hyperscan(sought)


@frozen
class Everything:
    """No prefilter: each line may matter."""

    def __call__(self, _text: bytes, /) -> bool:
        return True

    def places(self, block: bytes, /) -> Sequence[int]:
        return [found.start() for found in re.finditer(rb"\n", block)]


@frozen
class _Nothing:
    def __call__(self, _text: bytes, /) -> bool:
        return False

    def places(self, _block: bytes, /) -> Sequence[int]:
        return ()


@frozen(eq=False)
class _Hyperscan:
    """One database for both: `_first` stops at the first literal, `_all` goes on."""

    _database: hyperscan.Database
    _sizes: Sequence[int]

    def __call__(self, text: bytes, /) -> bool:
        found: list[bool] = []

        def stop_at_first(*_where: object) -> bool:
            found.append(True)
            return True

        with suppress(hyperscan.ScanTerminated):  # the handler has seen enough
            self._database.scan(text, match_event_handler=stop_at_first)
        return bool(found)

    def places(self, block: bytes, /) -> Sequence[int]:
        found: list[int] = []
        sizes = self._sizes

        def note(literal: int, _begin: int, end: int, *_rest: object) -> None:
            found.append(end - sizes[literal])

        self._database.scan(block, match_event_handler=note)
        return sorted(found)


def search_with_hyperscan(sought: Sequence[bytes]) -> Prefilter:
    """Look for all literals at once with Hyperscan."""
    database = hyperscan.Database()
    database.compile(
        expressions=[b"".join(b"\\x%02x" % byte for byte in literal) for literal in sought],
        ids=list(range(len(sought))),
        flags=[0] * len(sought),
    )
    return _Hyperscan(database, [len(literal) for literal in sought])


@frozen(eq=False)
class _Re2:
    _any: re2._Regexp

    def __call__(self, text: bytes, /) -> bool:
        return self._any.search(text) is not None

    def places(self, block: bytes, /) -> Sequence[int]:
        places, position = [], 0
        while (found := self._any.search(block, position)) is not None:
            places.append(found.start())
            position = found.start() + 1  # another one may begin within this one
        return places


def search_with_re2(sought: Sequence[bytes]) -> Prefilter:
    """Look for all literals at once with RE2."""
    alternatives = b"|".join(re2.escape(literal) for literal in sought)
    return _Re2(re2.compile(alternatives, options=options()))
