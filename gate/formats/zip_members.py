"""One member of a zip archive: its headers' values, and its bytes, unpacked within a limit."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from gate.formats.compression import inflated
from gate.formats.source import Bounds, Budget, Source, UnreadableError

STORED, DEFLATED = 0, 8


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


def member_chunks(source: Source, member: Member, limit: int) -> Iterator[bytes]:
    """Yield a member's bytes, ignoring checksum and encryption bit as most loaders do."""
    window = source.window(member.data_offset, member.compressed_size)
    if member.method == STORED:
        return window.chunks()
    if member.method == DEFLATED:
        return inflated(window.chunks(), "deflate", limit)
    raise UnreadableError(f"member {member.name!r} is compressed by method {member.method}")


def member_source(source: Source, member: Member, limit: int, budget: Budget | None = None) -> Source:
    """Return a member as a source of its own: a window if stored, else unpacked into memory."""
    if member.method == STORED:
        return source.window(member.data_offset, member.compressed_size)
    chunks = member_chunks(source, member, limit)
    return Source.of(b"".join(chunks if budget is None else budget.counted(chunks)))


def content_fault(source: Source, member: Member, bounds: Bounds) -> str:
    """Return how a member's checksum or length contradicts the directory; empty if neither does."""
    crc = size = 0
    chunks = member_chunks(source, member, bounds.max_inflated_bytes)
    for chunk in chunks if member.method == STORED else bounds.budget.counted(chunks):
        bounds.tick()
        crc, size = zlib.crc32(chunk, crc), size + len(chunk)
    if crc != member.crc:
        return "its checksum does not hold"
    if size != member.size:
        return f"holds {size} bytes where the directory states {member.size}"
    return ""
