"""The three kinds of header in a zip archive, end record, directory entry and local header: read, never trusted."""

import struct
from dataclasses import dataclass

from gate.formats.source import Source

LOCAL = b"PK\x03\x04"
CENTRAL = b"PK\x01\x02"
END = b"PK\x05\x06"
END64 = b"PK\x06\x06"
END64_LOCATOR = b"PK\x06\x07"
_END_REACH = (1 << 16) + 22
_LOCAL_SIZE, _CENTRAL_SIZE, _END_SIZE, _END64_SIZE, _LOCATOR_SIZE = 30, 46, 22, 56, 20
_FULL32 = 0xFFFFFFFF


@dataclass(frozen=True)
class Directory:
    """The place of the directory, and how many members it states."""

    offset: int
    size: int
    entries: int
    shift: int
    """Number of bytes before the archive."""


@dataclass(frozen=True)
class Header:
    """What a directory entry or a local header states about one member."""

    name: bytes
    flags: int
    method: int
    crc: int
    compressed_size: int
    size: int
    offset: int
    """Offset of the local header (in a directory entry) or of the data (in a local header)."""
    end: int
    """Offset of the end of the header itself."""


def find_directory(source: Source) -> Directory | None:
    """Find the last end record, at most the longest comment before the end, and its directory."""
    reach = min(source.size, _END_REACH)
    tail = source.read(source.size - reach, reach)
    at = tail.rfind(END)
    if at < 0 or len(tail) - at < _END_SIZE:
        return None
    end = source.size - reach + at
    entries, size, offset = struct.unpack_from("<10xHLL", tail, at)
    before = end
    locator = source.read(end - _LOCATOR_SIZE, _LOCATOR_SIZE)
    if locator[:4] == END64_LOCATOR:
        (stated,) = struct.unpack_from("<8xQ", locator)
        for candidate in (stated, end - _LOCATOR_SIZE - _END64_SIZE):
            record = source.read(candidate, _END64_SIZE)
            if record[:4] == END64 and len(record) == _END64_SIZE:
                entries, size, offset = struct.unpack_from("<32xQQQ", record)
                before = candidate
                break
    if size > before:
        return None
    return Directory(before - size, size, entries, before - size - offset)


def directory_entry(source: Source, at: int) -> Header | None:
    """Return the directory entry at an offset, or None if it is cut off."""
    head = source.read(at, _CENTRAL_SIZE)
    if len(head) < _CENTRAL_SIZE or head[:4] != CENTRAL:
        return None
    fields = struct.unpack("<8xHH4xLLLHHH8xL", head)
    flags, method, crc, packed, size, name_size, extra_size, comment_size, offset = fields
    name = source.read(at + _CENTRAL_SIZE, name_size)
    extra = source.read(at + _CENTRAL_SIZE + name_size, extra_size)
    size, packed, offset = _wide(extra, size, packed, offset)
    end = at + _CENTRAL_SIZE + name_size + extra_size + comment_size
    return Header(name, flags, method, crc, packed, size, offset, end)


def local_header(source: Source, at: int) -> Header | None:
    """Return the local header at an offset, or None if there is none."""
    head = source.read(at, _LOCAL_SIZE)
    if at < 0 or len(head) < _LOCAL_SIZE or head[:4] != LOCAL:
        return None
    flags, method, crc, packed, size, name_size, extra_size = struct.unpack("<6xHH4xLLLHH", head)
    name = source.read(at + _LOCAL_SIZE, name_size)
    data = at + _LOCAL_SIZE + name_size + extra_size
    size, packed, _ = _wide(source.read(at + _LOCAL_SIZE + name_size, extra_size), size, packed, 0)
    return Header(name, flags, method, crc, packed, size, data, data)


def _wide(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """Replace each field of all ones by the 64-bit value in the extra field."""
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
