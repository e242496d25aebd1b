"""Git's objects by name, read from a checkout's `.git` without git.

The gate's image has no git, and git would follow configuration, attributes and filters. Each object returned has the
hash by which it was requested; nothing else in a damaged or hostile pack is believed. SHA-1 repositories only.
"""

import hashlib
import mmap
import re
import struct
import zlib
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from gate.records.errors import UsageError

MAX_OBJECT_BYTES = 1 << 30
MAX_DELTAS = 4096
"""Git's own longest chain of deltas is 4095."""

_NAME = re.compile(r"[0-9a-f]{40}")
_KINDS = {1: "commit", 2: "tree", 3: "blob", 4: "tag"}
_BY_OFFSET, _BY_NAME = 6, 7
_INDEX_HEAD = b"\xfftOc\x00\x00\x00\x02"
_FANOUT, _NAMES = 8, 8 + 256 * 4
Kind = Literal["commit", "tree", "blob"]


class DamagedError(Exception):
    """The store's bytes are damaged."""


def is_name(text: str) -> bool:
    """Tell whether a text is the full name of an object."""
    return _NAME.fullmatch(text) is not None


class ObjectStore:
    """The objects of one checkout."""

    def __init__(self, checkout: Path) -> None:
        self._objects = checkout / ".git" / "objects"
        if not self._objects.is_dir():
            raise UsageError(
                f"there is no git repository in {checkout}; expected its .git folder",
                what_to_do="Check the repository out here, with git on the PATH, before the gate runs.",
            )

    def has(self, name: str) -> bool:
        """Tell whether the store holds an object."""
        return self._loose(name).is_file() or any(pack.find(name) is not None for pack in self._packs())

    def read(self, name: str, kind: Kind, limit: int) -> bytes:
        """Return an object's bytes; one that is missing, damaged, larger or of another kind is a `UsageError`."""
        try:
            found, raw = self._raw(name, limit, MAX_DELTAS)
        except (DamagedError, OSError, ValueError, IndexError, struct.error, zlib.error) as error:
            raise unreadable(name, str(error)) from None
        if found != kind:
            raise unreadable(name, f"it is a {found}, expected a {kind}")
        head = f"{kind} {len(raw)}\0".encode()
        if hashlib.sha1(head + raw, usedforsecurity=False).hexdigest() != name:
            raise unreadable(name, "its bytes have another hash")
        return raw

    def _loose(self, name: str) -> Path:
        return self._objects / name[:2] / name[2:]

    def _packs(self) -> Iterator["_Pack"]:
        for index in sorted((self._objects / "pack").glob("*.idx")):
            yield _Pack(index)

    def _raw(self, name: str, limit: int, deltas: int) -> tuple[str, bytes]:
        if self._loose(name).is_file():
            return _split(_inflated(self._loose(name).read_bytes(), limit + 64))
        for pack in self._packs():
            if (offset := pack.find(name)) is not None:
                with pack.body() as body:
                    return self._packed(body, offset, limit, deltas)
        raise DamagedError("it is not here")

    def _packed(self, body: mmap.mmap, offset: int, limit: int, deltas: int) -> tuple[str, bytes]:
        """Return the object at an offset of a pack, whose base is before it, or anywhere by name."""
        kind, size, at = _entry_head(body, offset)
        if size > limit:
            raise DamagedError(f"it is larger than {limit} bytes")
        if kind in _KINDS:
            return _KINDS[kind], _inflated_at(body, at, size)
        if deltas == 0:
            raise DamagedError("its chain of deltas is too long")
        if kind == _BY_OFFSET:
            back, at = _distance(body, at)
            if not 0 < back <= offset:
                raise DamagedError("a delta points out of its pack")
            found, source = self._packed(body, offset - back, MAX_OBJECT_BYTES, deltas - 1)
        elif kind == _BY_NAME:
            found, source = self._raw(body[at : at + 20].hex(), MAX_OBJECT_BYTES, deltas - 1)
            at += 20
        else:
            raise DamagedError(f"a pack has an entry of kind {kind}")
        return found, _patched(source, _inflated_at(body, at, size), limit)


class _Pack:
    """One pack with its index (version 2, which git has written since 2008)."""

    def __init__(self, index: Path) -> None:
        self._index = index

    def find(self, name: str) -> int | None:
        """Return an object's offset in the pack; None where the pack does not have it."""
        wanted = bytes.fromhex(name)
        with self._index.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as index:
            if index[:8] != _INDEX_HEAD:
                return None
            count = _number(index, _FANOUT + 255 * 4)
            first = _number(index, _FANOUT + (wanted[0] - 1) * 4) if wanted[0] else 0
            last = min(count, _number(index, _FANOUT + wanted[0] * 4))
            row = bisect_left(range(count), wanted, first, last, key=lambda row: _name_at(index, row))
            if row >= count or _name_at(index, row) != wanted:
                return None
            offsets = _NAMES + count * 24
            offset = _number(index, offsets + row * 4)
            if offset >> 31:
                large = offsets + count * 4 + (offset & 0x7FFFFFFF) * 8
                return int.from_bytes(index[large : large + 8], "big")
            return offset

    def body(self) -> mmap.mmap:
        with self._index.with_suffix(".pack").open("rb") as stream:
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)


def _name_at(index: mmap.mmap, row: int) -> bytes:
    return index[_NAMES + row * 20 : _NAMES + row * 20 + 20]


def _number(index: mmap.mmap, at: int) -> int:
    found: int = struct.unpack_from(">I", index, at)[0]
    return found


def _entry_head(body: mmap.mmap, at: int) -> tuple[int, int, int]:
    """Return kind and size of a pack's entry, and the offset of what follows."""
    byte = body[at]
    kind, size, shift = byte >> 4 & 7, byte & 15, 4
    while byte & 0x80:
        at += 1
        byte = body[at]
        size |= (byte & 0x7F) << shift
        shift += 7
    return kind, size, at + 1


def _distance(body: mmap.mmap, at: int) -> tuple[int, int]:
    """Return the distance back to a delta's base, and the offset of what follows."""
    byte = body[at]
    back = byte & 0x7F
    while byte & 0x80:
        at += 1
        byte = body[at]
        back = back + 1 << 7 | byte & 0x7F
    return back, at + 1


def _inflated(raw: bytes, limit: int) -> bytes:
    decoder = zlib.decompressobj()
    found = decoder.decompress(raw, limit + 1)
    if len(found) > limit:
        raise DamagedError(f"it is larger than {limit} bytes")
    return found


def _inflated_at(body: mmap.mmap, at: int, size: int) -> bytes:
    """Return the `size` bytes whose compressed form, of unknown length, begins at `at`."""
    decoder, found, step = zlib.decompressobj(), bytearray(), 1 << 16
    while len(found) <= size and not decoder.eof:
        piece = decoder.unconsumed_tail or body[at : at + step]
        if not decoder.unconsumed_tail:
            at += step
        if not piece:
            raise DamagedError("a pack ends in the middle of it")
        found += decoder.decompress(piece, size + 1 - len(found))
    if len(found) != size:
        raise DamagedError("a pack says another size of it")
    return bytes(found)


def _split(raw: bytes) -> tuple[str, bytes]:
    head, _, rest = raw.partition(b"\0")
    return head.split(b" ")[0].decode("ascii", errors="replace"), rest


def _patched(source: bytes, delta: bytes, limit: int) -> bytes:
    """Apply a delta to its base: copies of parts of the base, and bytes of the delta's own."""
    expected, at = _varint(delta, 0)
    size, at = _varint(delta, at)
    if expected != len(source) or size > limit:
        raise DamagedError("a delta does not fit its base")
    made = bytearray()
    while at < len(delta):
        code, at = delta[at], at + 1
        if code & 0x80:
            values = []
            for shift in range(7):
                values.append(delta[at] if code >> shift & 1 else 0)
                at += code >> shift & 1
            offset, length = int.from_bytes(bytes(values[:4]), "little"), int.from_bytes(bytes(values[4:]), "little")
            length = length or 0x10000
            if offset + length > len(source):
                raise DamagedError("a delta copies what its base does not have")
            made += source[offset : offset + length]
        elif code:
            made += delta[at : at + code]
            at += code
        else:
            raise DamagedError("a delta has an unknown instruction")
        if len(made) > size:
            break
    if len(made) != size:
        raise DamagedError("a delta makes another size")
    return bytes(made)


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value, shift, byte = 0, 0, 0x80
    while byte & 0x80:
        byte, at = raw[at], at + 1
        value |= (byte & 0x7F) << shift
        shift += 7
    return value, at


def unreadable(name: str, why: str) -> UsageError:
    """Return the error of an object that is missing or damaged."""
    return UsageError(
        f"the git object {name} cannot be read: {why}",
        what_to_do="Check out with enough history (fetch-depth: 0; on GitLab GIT_DEPTH: 0), without a partial clone.",
    )
