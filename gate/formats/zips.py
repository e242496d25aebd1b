"""Zip archives as hostile readers see them: members by directory and by local header, whatever flags and sums say.

Loaders differ in which header they believe, and most ignore checksums and the encryption bit. So this reader lists
every member that any of them could find, gives its bytes regardless, and reports each disagreement as a fault.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gate.formats.compression import inflated
from gate.formats.source import CHUNK, Bounds, Source, UnreadableError

LOCAL = b"PK\x03\x04"
_CENTRAL = b"PK\x01\x02"
_END = b"PK\x05\x06"
_END64 = b"PK\x06\x06"
_END64_LOCATOR = b"PK\x06\x07"
_END_REACH = (1 << 16) + 22
_LOCAL_SIZE, _CENTRAL_SIZE, _END_SIZE, _END64_SIZE, _LOCATOR_SIZE = 30, 46, 22, 56, 20
_FULL32 = 0xFFFFFFFF
_ENCRYPTED, _DESCRIPTOR = 0x1, 0x8
STORED, DEFLATED = 0, 8
_METHODS = frozenset({STORED, DEFLATED, 9, 12, 14, 93, 95, 99})
_MAX_NAME = 4096


@dataclass(frozen=True)
class Member:
    """One member of a zip archive, as its directory entry or, unlisted, its local header describes it."""

    name: str
    method: int
    crc: int
    compressed_size: int
    size: int
    header_offset: int
    data_offset: int


@dataclass(frozen=True)
class Archive:
    """The members of a zip archive, and in which points its headers contradict each other."""

    members: tuple[Member, ...]
    faults: tuple[str, ...]

    def named(self, suffix: str) -> Member | None:
        """Return the first member whose name is, or below one folder ends in, `suffix`."""
        found = (member for member in self.members if member.name == suffix or member.name.endswith("/" + suffix))
        return next(found, None)


@dataclass(frozen=True)
class _Directory:
    offset: int
    size: int
    entries: int
    shift: int
    """How many bytes stand before the archive."""


def is_zip(source: Source) -> bool:
    """Tell whether a loader would take the bytes for a zip: a local header first, or an end record last."""
    return source.read(0, 4) == LOCAL or _directory(source) is not None


def read_zip(source: Source, bounds: Bounds) -> Archive:
    """Return all members that the directory lists and all that stand outside of it."""
    faults: list[str] = []
    members: list[Member] = []
    directory = _directory(source)
    covered: list[tuple[int, int]] = []
    if directory is None:
        faults.append("no central directory")
    else:
        if directory.shift:
            faults.append(f"{directory.shift} bytes before the archive")
        members.extend(_listed(source, directory, bounds, faults))
        covered.append((directory.offset, directory.offset + directory.size))
    covered.extend((member.header_offset, member.data_offset + member.compressed_size) for member in members)
    for member in _unlisted(source, covered, bounds):
        faults.append(f"member {member.name!r} is not in the directory")
        members.append(member)
    names = [member.name for member in members]
    if len(set(names)) != len(names):
        faults.append("two members of one name")
    return Archive(tuple(members), tuple(faults[:100]))


def member_chunks(source: Source, member: Member, limit: int) -> Iterator[bytes]:
    """Yield a member's bytes, ignoring checksum and encryption bit as most loaders do."""
    window = source.window(member.data_offset, member.compressed_size)
    if member.method == STORED:
        return window.chunks()
    if member.method == DEFLATED:
        return inflated(window.chunks(), "deflate", limit)
    raise UnreadableError(f"member {member.name!r} is compressed by method {member.method}")


def member_source(source: Source, member: Member, limit: int) -> Source:
    """Return a member as a source of its own: a window where stored, else unpacked into memory."""
    if member.method == STORED:
        return source.window(member.data_offset, member.compressed_size)
    return Source.of(b"".join(member_chunks(source, member, limit)))


def checksum_holds(source: Source, member: Member, limit: int, tick: Callable[[], None]) -> bool:
    """Tell whether a member's bytes have the CRC-32 that the directory states."""
    crc = 0
    for chunk in member_chunks(source, member, limit):
        tick()
        crc = zlib.crc32(chunk, crc)
    return crc == member.crc


def _directory(source: Source) -> _Directory | None:
    """Find the end record, as far from the end as its comment may be long, and the directory before it."""
    reach = min(source.size, _END_REACH)
    tail = source.read(source.size - reach, reach)
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_SIZE:
        return None
    end = source.size - reach + at
    entries, size, offset = struct.unpack_from("<10xHLL", tail, at)
    before = end
    locator = source.read(end - _LOCATOR_SIZE, _LOCATOR_SIZE)
    if locator[:4] == _END64_LOCATOR:
        (stated,) = struct.unpack_from("<8xQ", locator)
        for candidate in (stated, end - _LOCATOR_SIZE - _END64_SIZE):
            record = source.read(candidate, _END64_SIZE)
            if record[:4] == _END64 and len(record) == _END64_SIZE:
                entries, size, offset = struct.unpack_from("<32xQQQ", record)
                before = candidate
                break
    if size > before:
        return None
    return _Directory(before - size, size, entries, before - size - offset)


def _listed(source: Source, directory: _Directory, bounds: Bounds, faults: list[str]) -> Iterator[Member]:
    at, end = directory.offset, directory.offset + directory.size
    count = 0
    while at < end and source.read(at, 4) == _CENTRAL:
        count += 1
        if count > bounds.max_members:
            raise UnreadableError(f"an archive of more than {bounds.max_members} members")
        if count % 256 == 0:
            bounds.tick()
        member, at = _entry(source, at, directory.shift, faults)
        if member is not None:
            yield member
    if count != directory.entries or at != end:
        faults.append(f"the directory states {directory.entries} members and lists {count}")


def _entry(source: Source, at: int, shift: int, faults: list[str]) -> tuple[Member | None, int]:
    """Read one directory entry and the local header that it points to."""
    head = source.read(at, _CENTRAL_SIZE)
    if len(head) < _CENTRAL_SIZE:
        faults.append("the directory is cut off")
        return None, at + _CENTRAL_SIZE
    flags, method, crc, packed, size, name_size, extra_size, comment_size, offset = struct.unpack(
        "<8xHH4xLLLHHH8xL", head
    )
    name = source.read(at + _CENTRAL_SIZE, name_size)
    extra = source.read(at + _CENTRAL_SIZE + name_size, extra_size)
    size, packed, offset = _wide(extra, size, packed, offset)
    following = at + _CENTRAL_SIZE + name_size + extra_size + comment_size
    text = _text(name)
    if flags & _ENCRYPTED:
        faults.append(f"member {text!r} is marked as encrypted")
    local = _local(source, offset + shift)
    if local is None:
        faults.append(f"member {text!r} has no local header where the directory says")
        return None, following
    local_name, _, data_offset, _ = local
    if local_name != name:
        faults.append(f"member {text!r} is called {_text(local_name)!r} in its local header")
    if data_offset + packed > source.size:
        faults.append(f"member {text!r} is cut off")
    return Member(text, method, crc, packed, size, offset + shift, data_offset), following


def _local(source: Source, offset: int) -> tuple[bytes, int, int, tuple[int, int, int, int]] | None:
    """Return name, flags, data offset and (method, crc, packed, size) of a local header, or None."""
    head = source.read(offset, _LOCAL_SIZE)
    if offset < 0 or len(head) < _LOCAL_SIZE or head[:4] != LOCAL:
        return None
    flags, method, crc, packed, size, name_size, extra_size = struct.unpack("<6xHH4xLLLHH", head)
    name = source.read(offset + _LOCAL_SIZE, name_size)
    return name, flags, offset + _LOCAL_SIZE + name_size + extra_size, (method, crc, packed, size)


def _unlisted(source: Source, covered: list[tuple[int, int]], bounds: Bounds) -> Iterator[Member]:
    """Find local headers in the gaps that no listed member and no directory covers."""
    count = 0
    for begin, end in _gaps(covered, source.size):
        at = begin
        while (found := _find(source, LOCAL, at, end, bounds)) is not None:
            at = found + 4
            member = _orphan(source, found, end)
            if member is None:
                continue
            count += 1
            if count > bounds.max_members:
                raise UnreadableError(f"an archive of more than {bounds.max_members} unlisted members")
            yield member
            at = max(at, member.data_offset + member.compressed_size)


def _orphan(source: Source, offset: int, end: int) -> Member | None:
    """Read an unlisted local header; None where its fields are not plausible."""
    local = _local(source, offset)
    if local is None:
        return None
    name, flags, data_offset, (method, crc, packed, size) = local
    if method not in _METHODS or not 0 < len(name) <= _MAX_NAME or data_offset > end:
        return None
    if (flags & _DESCRIPTOR and not packed) or packed > end - data_offset:
        packed = end - data_offset
    return Member(_text(name), method, crc, packed, size, offset, data_offset)


def _gaps(covered: list[tuple[int, int]], size: int) -> Iterator[tuple[int, int]]:
    at = 0
    for begin, end in sorted(covered):
        if begin > at:
            yield at, begin
        at = max(at, end)
    if at < size:
        yield at, size


def _find(source: Source, needle: bytes, begin: int, end: int, bounds: Bounds) -> int | None:
    at = begin
    while at < end:
        bounds.tick()
        chunk = source.read(at, min(CHUNK, end - at + len(needle) - 1))
        place = chunk.find(needle)
        if place >= 0:
            return at + place if at + place < end else None
        at += CHUNK - len(needle) + 1
    return None


def _wide(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """Replace the fields that are full by the 64-bit ones of the extra field."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        body = extra[at + 4 : at + 4 + length]
        if kind == 1:
            values = list(struct.unpack(f"<{len(body) // 8}Q", body[: len(body) // 8 * 8]))
            size = values.pop(0) if size == _FULL32 and values else size
            packed = values.pop(0) if packed == _FULL32 and values else packed
            offset = values.pop(0) if offset == _FULL32 and values else offset
        at += 4 + length
    return size, packed, offset


def _text(name: bytes) -> str:
    return name.decode("utf-8", errors="backslashreplace")
