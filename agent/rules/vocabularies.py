"""Vocabularies: closed lists of words, each with the texts or patterns that stand for it.

Owns the keys of a vocabulary, and what one word takes from another.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import re2

from agent.rules.keys import Reader
from agent.rules.nodes import Items, Mapping, Node, Scalar
from agent.rules.patterns import Pattern, compile_pattern
from agent.rules.places import nearest_name
from agent.rules.words import Vocabulary, options

if TYPE_CHECKING:
    from agent.rules.places import Place, Problems
    from agent.rules.shared import Shared

_NOT_PLAIN = re.compile(r"(?<!\\)(?:\\\\)*(?:[.*+?()\[\]{}|^$]|\\\w)")
_ESCAPED = re.compile(r"\\(.)")
_BY_WHAT_IS_AROUND = re.compile(r"[$^]|\\[AzbB]")
"""What is found in a text, and maybe not where more stands around it."""
KEYS = ("match", "used_by", "words", "hide")


def read_vocabulary(name: str, node: Node, shared: Shared) -> Vocabulary:
    """Read one vocabulary; one that cannot be read has no words."""
    problems = shared.problems
    if not isinstance(node, Mapping):
        shared.used.add(("vocabularies", name))
        problems.add(
            "type", node.place, "a vocabulary is a mapping", "write its words under `words:`"
        )
        return Vocabulary(name, node.place, "exact", {})
    if node.entries and not any(nearest_name(key, KEYS) for key in node.entries):
        shared.used.add(("vocabularies", name))
        what = f"vocabulary {name!r} has no 'words', under which its words stand"
        problems.add("missing-key", node.place, what, "write `words:` above, and indent them")
        return Vocabulary(name, node.place, "exact", {})
    reader = Reader(node, f"vocabulary {name}", problems, KEYS)
    kind = reader.word("match", ("exact", "search"), "exact")
    if reader.word("used_by", ("rules", "agent"), "rules") == "agent":
        shared.used.add(("vocabularies", name))
    listed = reader.mapping("words")
    words: dict[str, tuple[str, ...]] = {}
    if listed is not None:
        texts = {word: _texts(listed, word, problems) for word in listed.entries}
        if kind == "search":
            patterns = {
                word: tuple(shared.expand(text, place) for place, text in found)
                for word, found in texts.items()
            }
            _check_search(patterns, problems)
            texts = {
                word: tuple((one.place, one.text) for one in found)
                for word, found in patterns.items()
            }
        words = {word: tuple(text for _, text in found) for word, found in texts.items()}
        _check_twice(kind, texts, problems)
    if not words and (listed is not None or not reader.has("words")):
        problems.add("type", node.place, f"vocabulary {name!r} has no words", "add `words:`")
    return Vocabulary(name, node.place, kind, words, _hide(reader, kind, shared))


if TYPE_CHECKING:
    from typing import TypeAlias

    _Texts: TypeAlias = tuple[tuple[Place, str], ...]


def _texts(listed: Mapping, word: str, problems: Problems) -> _Texts:
    """Return the texts of a word with their places; one without any stands for itself."""
    value = listed.entries[word]
    if isinstance(value, Scalar) and value.value is None:
        return ((listed.keys[word], word),)
    if isinstance(value, Items) and not value.items:
        problems.add("type", value.place, f"{word!r} has no texts", "write them, or no list at all")
    return Reader(Mapping(value.place, {word: value}), word, problems).placed_texts(word)


def _check_search(words: dict[str, tuple[Pattern, ...]], problems: Problems) -> None:
    """Note patterns that cannot be read, and one that leaves nothing for the words behind it."""
    catchall: tuple[Place, str] | None = None
    sound: list[tuple[str, Pattern]] = []
    for word, texts in words.items():
        if catchall is not None:
            place, text = catchall
            problems.add(
                "unreachable",
                place,
                f"{text!r} is found in every text, so that {word!r} is never given",
                "make it the last word, or narrow it",
            )
            catchall = None
        for one in texts:
            if not one.is_whole:
                continue
            before = len(problems.found)
            made = compile_pattern(one, problems)
            if len(problems.found) > before:
                continue
            if made.search(b"") is not None:
                catchall = (one.place, one.text)
            else:
                sound.append((word, one))
    _check_hidden(sound, problems)


def _check_hidden(texts: list[tuple[str, Pattern]], problems: Problems) -> None:
    """Note a plain text in which a pattern of an earlier word is found, wherever it stands."""
    anywhere = [one for one in texts if not _BY_WHAT_IS_AROUND.search(one[1].text)]
    found = re2.Set.SearchSet(options())
    for _, one in anywhere:
        found.Add(one.text.encode())
    found.Compile()
    order = {word: at for at, (word, _) in reversed([*enumerate(texts)])}
    for word, later in texts if anywhere else ():
        text = _ESCAPED.sub(r"\1", later.text)
        hits = () if _NOT_PLAIN.search(later.text) else found.Match(text.encode())
        first, one = anywhere[min(hits)] if hits else (word, later)
        if order[first] < order[word] and one.text != later.text:
            problems.add(
                "unreachable",
                later.place,
                f"{text!r} never gives {word!r}: {one.text!r} of {first!r} is found in it",
                f"put {word!r} before {first!r}, or narrow that",
            )


def _check_twice(kind: str, words: dict[str, _Texts], problems: Problems) -> None:
    """Note a text that two words claim; it would belong to the first in silence."""
    seen: dict[str, str] = {}
    for word, texts in words.items():
        for place, text in texts:
            first = seen.setdefault(text.lower() if kind == "exact" else text, word)
            if first != word:
                problems.add(
                    "duplicate",
                    place,
                    f"{text!r} already stands for {first!r}",
                    "remove it from one of the two words",
                )


def _hide(reader: Reader, kind: str, shared: Shared) -> re2._Regexp | None:
    if not reader.has("hide"):
        return None
    problems, place = shared.problems, reader.place("hide")
    before = len(problems.found)
    pattern = shared.expand(reader.text("hide"), place)
    made = compile_pattern(pattern, problems)
    if kind != "search":
        problems.add("hide", place, "`hide` needs `match: search`", "add it")
    elif not made.groups and len(problems.found) == before and pattern.is_whole:
        problems.add(
            "hide",
            place,
            "what the groups of `hide` take in is not looked at, and it has none",
            "put what users name in parentheses",
        )
    return made
