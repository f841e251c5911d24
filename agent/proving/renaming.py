"""Other text of the same shape: each word of a log stands for another one, the same everywhere.

Owns which bytes of a line are words, and what is put in their place. One word has one stand-in and
two words never the same, so that texts that were equal stay equal and others do not become so.
Stand-ins of four letters and more are made of letters that stand together in no closed word,
number or id: they are canaries. Pure: a seed is all the chance there is.
"""

from __future__ import annotations

import re
from hashlib import shake_256

from attrs import define, field

CANARY = re.compile(r"[jqxz]{4}", re.IGNORECASE)
"""Finds what was planted. No value that an agent may send contains it."""

STYLES = ("same", "longer", "secret")
_ATTEMPTS = 64
_CANARY_LETTERS = 4

_TIME = rb"\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d)?"
_PIECE = re.compile(
    # What stands for another byte, or is none of the text: escapes, colours, an entry's own time.
    rb"\\+(?:u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|.)"
    rb"|\x1b\[[0-9;]*m"
    rb'|(?:\btime\\*"?[:=]\\*"?|\[)%b'
    rb"|^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d(?:\.\d+)?"
    rb"|^(?:ERROR: logging before flag\.Parse: )?[IWEF]\d{4} \d\d:\d\d:\d\d\.\d{6}"
    rb"|(?P<word>[A-Za-z0-9_\x80-\xff]+)" % _TIME,
    re.DOTALL,
)
_SECRETS = (b"xoxb-%b", b"https://%b.zxqj.jqz/?t=1", b"%b@qxzj.zq", b"10.%b", b"%b-Bearer.eyJ")
_ALPHABETS = (b"abcdefghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"0123456789")
_LETTERS = _ALPHABETS[0] + _ALPHABETS[1]
_CANARIES = (b"jqxz", b"JQXZ", _ALPHABETS[2])
_BLOCKS = {2: (0x0430, 32), 3: (0x4E00, 1024), 4: (0x1F300, 256)}
"""Where letters of so many bytes are taken from, and how many."""


@define
class Renaming:
    """The stand-ins of one variant. `kept` are words on which a decision rests somewhere.

    `changes` counts what may have changed the stand-in of a word that has one.
    """

    style: str
    seed: int
    kept: set[bytes] = field(factory=set)
    changes: int = 0
    _images: dict[bytes, bytes] = field(factory=dict)
    _owners: dict[bytes, bytes] = field(factory=dict)

    @property
    def replaced(self) -> int:
        """How many words have another one in their place."""
        return len(self._images)

    def rename(self, text: bytes, keep: frozenset[bytes] = frozenset()) -> bytes:
        """Put the stand-ins into a text, but for words of `keep`."""

        def put(found: re.Match[bytes]) -> bytes:
            word = found.group("word")
            return found.group() if word is None or word in keep else self._image(word)

        return _PIECE.sub(put, text)

    def keep(self, words: set[bytes]) -> None:
        """Leave these words as they are from here on, everywhere."""
        for word in words - self.kept:
            self.changes += 1
            self.kept.add(word)
            self._owners.pop(self._images.pop(word, b""), None)
            # What had this word for its stand-in needs another one.
            self._images.pop(self._owners.pop(word, b""), None)

    def _image(self, word: bytes) -> bytes:
        if word in self.kept:
            return word
        found = self._images.get(word)
        if found is not None:
            return found
        for attempt in range(_ATTEMPTS):
            made = self._make(word, attempt)
            if made != word and made not in self._owners and made not in self.kept:
                self._images[word], self._owners[made] = made, word
                return made
        self.keep({word})
        return word

    def _make(self, word: bytes, attempt: int) -> bytes:
        size = len(word) + 8
        noise = shake_256(b"%d/%d/%b" % (self.seed, attempt, word)).digest(size)
        letters = len(word) - len(word.translate(None, _LETTERS))
        is_canary = letters >= _CANARY_LETTERS and attempt < _ATTEMPTS // 2
        alphabets = _CANARIES if is_canary else _ALPHABETS
        made = _other(word, noise, alphabets)
        if word.isdigit() or self.style == "same":
            return made
        if self.style == "longer":
            return made + bytes(b"jqxz"[byte % 4] for byte in noise[-(1 + noise[-1] % 8) :])
        return _SECRETS[noise[-1] % len(_SECRETS)] % made


def words_of(text: bytes) -> set[bytes]:
    """Return the words of a text."""
    return {word for found in _PIECE.finditer(text) if (word := found.group("word")) is not None}


def _other(word: bytes, noise: bytes, alphabets: tuple[bytes, ...]) -> bytes:
    """Return a word of the same length in bytes, each character of the same kind."""
    made: list[str] = []
    for char, byte in zip(word.decode("utf-8", "surrogateescape"), noise, strict=False):
        code = char.encode("utf-8", "surrogateescape")
        if len(code) > 1:
            start, count = _BLOCKS[len(code)]
            made.append(chr(start + (byte * 7) % count))
            continue
        alphabet = next(
            (other for one, other in zip(_ALPHABETS, alphabets, strict=True) if code in one), code
        )
        other = chr(alphabet[byte % len(alphabet)]) if alphabet != code else char
        # No number gets a leading zero, which JSON does not know.
        made.append("7" if not made and other == "0" else other)
    return "".join(made).encode("utf-8", "surrogateescape")
