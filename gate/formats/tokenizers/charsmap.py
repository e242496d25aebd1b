"""The map of characters that SentencePiece compiles into a tokenizer (`Precompiled`), read out and checked.

It may map any text to any other, and so a rare sign to a word that nobody typed. So all of it is read, and each entry
must be what Unicode says of these characters: the same but for compatibility and case, or nothing or a space in the
place of a sign that is not seen. The rules of SentencePiece 0.1.99 to 0.2.3 are: nfkc, nmt_nfkc, and both with folded
case.

The layout is that of Darts-clone: 4 bytes with the trie's size, its units of 4 bytes, then texts that end with a zero.
"""

import base64
import binascii
import struct
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, Final

from gate.formats.shapes import Shape

MAX_BYTES: Final = 1 << 20
_MAX_ENTRIES: Final = 1_000_000
_MAX_KEY: Final = 64
"""Bytes of one entry's key."""
_UNSEEN: Final = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
_REPLACEMENTS: Final = "\ufffc\ufffd\u2581"
"""The signs for an object, for a character that could not be read, and for a space."""
_BYTE: Final = 0xFF
_LEAF: Final = 1 << 31


class _OddError(Exception):
    """The bytes are no such map."""


def is_of_unicode(given: Any) -> bool:
    """Tell whether a text is the base64 of a map that says of characters what Unicode does, or of none."""
    if not isinstance(given, str) or len(given) > MAX_BYTES * 4 // 3 + 4 or not given.isascii():
        return False
    return _checked(given)


@lru_cache(maxsize=4)
def _checked(given: str) -> bool:
    """Check once: the same file is read for its faults and for what it holds."""
    try:
        raw = base64.b64decode(given, validate=True)
        return not raw or all(_is_same(key.decode(), value.decode()) for key, value in _Trie.of(raw).entries())
    except (binascii.Error, UnicodeDecodeError, _OddError):
        return False


CHARSMAP: Final = Shape("a map of SentencePiece's that follows Unicode", is_of_unicode)


@dataclass(frozen=True)
class _Trie:
    units: tuple[int, ...]
    texts: bytes
    children: dict[int, list[tuple[int, int]]]
    """Byte and place of each unit, by the base that its parent has."""

    @classmethod
    def of(cls, raw: bytes) -> "_Trie":
        size = int.from_bytes(raw[:4], "little")
        if size % 4 or not 4 <= size <= len(raw) - 4 or (len(raw) > size + 4 and raw[-1] != 0):
            raise _OddError
        units = struct.unpack_from(f"<{size // 4}I", raw, 4)
        children: dict[int, list[tuple[int, int]]] = {}
        for place, unit in enumerate(units):
            if unit < _LEAF and unit & _BYTE:
                children.setdefault(place ^ (unit & _BYTE), []).append((unit & _BYTE, place))
        return cls(units, raw[4 + size :], children)

    def entries(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield every key with its text; a trie that leads out of itself, or in a circle, is none."""
        found = islice(self._walk(), _MAX_ENTRIES + 1)
        for count, entry in enumerate(found):
            if count == _MAX_ENTRIES:
                raise _OddError
            yield entry

    def _walk(self) -> Iterator[tuple[bytes, bytes]]:
        left, steps = [(self._base(0), b"")], 0
        while left:
            base, key = left.pop()
            steps += 1
            if base | _BYTE >= len(self.units) or len(key) > _MAX_KEY or steps > 2 * _MAX_ENTRIES:
                raise _OddError
            for byte, place in self.children.get(base, ()):
                longer = key + bytes([byte])
                left.append((self._base(place), longer))
                if self.units[place] >> 8 & 1:
                    yield longer, self._text(self._base(place))

    def _base(self, place: int) -> int:
        """Return the place from which a unit's children are counted."""
        unit = self.units[place]
        return place ^ (unit >> 10 << ((unit & 1 << 9) >> 6))

    def _text(self, place: int) -> bytes:
        if place >= len(self.units):
            raise _OddError
        begin = self.units[place] & ~_LEAF
        end = self.texts.find(0, begin)
        if end < 0:
            raise _OddError
        return self.texts[begin:end]


def _is_same(key: str, value: str) -> bool:
    """Tell whether a text is its key, but for what does not tell characters apart."""
    if value in {"", " "} and len(key) == 1 and (unicodedata.category(key) in _UNSEEN or key in _REPLACEMENTS):
        return True
    if value == unicodedata.normalize("NFKC", key) or _folded(key) == _folded(value):
        return True
    # Characters of a later Unicode than Python's: no more of them than there were.
    return len(value) <= len(key) and any(unicodedata.category(sign) == "Cn" for sign in key)


def _folded(text: str) -> str:
    for _ in range(2):
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return text
