"""Bounded access to hostile bytes: `Source` reads at an offset, `ByteStream` reads forward, `Bounds` says how much.

A length that a file claims is never trusted: reads are clamped to what is there, and more than the bounds raises
`UnreadableError`, which detectors count.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from gate.records.errors import GateError

CHUNK = 1 << 20
MAX_ARGUMENT = 256 << 20
"""Longest single value that is read from a stream; larger tensors are stored outside pickles."""
MAX_LINE = 64 << 10
KEEP = 4 << 20
"""Bytes of a stream that are kept for a second reading."""


class UnreadableError(GateError):
    """Bytes that cannot be read as the format that they claim, or only beyond the bounds."""

    what_to_do = "Save the model again with its framework's own writer, and leave out what is no part of it."


MAX_UNPACKED_IN_ALL = 4 << 30
"""Bytes unpacked from all files of an artifact, counted each time."""
MAX_ARCHIVES_IN_ALL = 2_000
MAX_MEMBERS_IN_ALL = 500_000


class ExceededError(GateError):
    """All files together exceed the budget: it ends the whole examination, not that of one file."""

    what_to_do = "Leave out of the artifact what is no part of the model, or register its parts as models of their own."


@dataclass
class Budget:
    """What one detector may still read of all files of an artifact and all archives in them, however nested."""

    unpacked: int = MAX_UNPACKED_IN_ALL
    archives: int = MAX_ARCHIVES_IN_ALL
    members: int = MAX_MEMBERS_IN_ALL

    def unpack(self, size: int) -> None:
        """Count bytes unpacked from compressed data."""
        self.unpacked -= size
        if self.unpacked < 0:
            raise ExceededError("the artifact's files unpack to more bytes in all than are looked at")

    def enter(self, members: int) -> None:
        """Count an archive and its members."""
        self.archives -= 1
        self.members -= members
        if self.archives < 0 or self.members < 0:
            raise ExceededError("the artifact's files hold more archives, or more members in them, than are looked at")

    def counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Pass unpacked bytes on and count them."""
        for chunk in chunks:
            self.unpack(len(chunk))
            yield chunk


@dataclass(frozen=True)
class Bounds:
    """How much hostile data is read before it counts as unreadable."""

    max_opcodes: int = 2_000_000
    max_inflated_bytes: int = 256 << 20
    max_depth: int = 4
    """Depth of archives inside archives."""
    max_members: int = 50_000
    tick: Callable[[], None] = field(default=lambda: None)
    """Callback of each step; it may raise to end the work at a deadline."""
    budget: Budget = field(default_factory=Budget)
    """Budget shared by all that is read under these bounds."""


class Source:
    """A window of bytes in an open file."""

    def __init__(self, handle: BinaryIO, start: int, size: int) -> None:
        self._handle = handle
        self._start = start
        self.size = size

    @classmethod
    def of(cls, raw: bytes) -> "Source":
        """Return a source over bytes in memory."""
        return cls(BytesIO(raw), 0, len(raw))

    def read(self, offset: int, size: int) -> bytes:
        """Return at most `size` bytes at `offset`; fewer where the window ends."""
        offset = max(offset, 0)
        size = min(size, self.size - offset)
        if size <= 0:
            return b""
        self._handle.seek(self._start + offset)
        return self._handle.read(size)

    def whole(self, limit: int, what: str) -> bytes:
        """Return all bytes, or raise `UnreadableError` where there are more than `limit`."""
        if self.size > limit:
            raise UnreadableError(f"{what} has {self.size} bytes; at most {limit} are read")
        return self.read(0, self.size)

    def window(self, offset: int, size: int) -> "Source":
        """Return the part at `offset`, clamped to this window."""
        offset = min(max(offset, 0), self.size)
        return Source(self._handle, self._start + offset, min(max(size, 0), self.size - offset))

    def chunks(self, offset: int = 0) -> Iterator[bytes]:
        """Yield the bytes from `offset` on in pieces of at most one mebibyte."""
        while chunk := self.read(offset, CHUNK):
            yield chunk
            offset += len(chunk)


@contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """Open a regular file, never through a link; anything else raises `UnreadableError`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise UnreadableError(f"cannot be opened: {type(error).__name__}") from None
    with os.fdopen(descriptor, "rb") as handle:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise UnreadableError("is no regular file")
        yield Source(handle, 0, found.st_size)


class ByteStream:
    """A forward reader over chunks, in the shape that `pickletools` readers expect."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._buffer = b""
        self._at = 0
        self.position = 0
        self.kept = bytearray()
        """The first bytes read since `restart`, at most `KEEP`."""
        self.kept_whole = True

    def restart(self) -> None:
        """Forget the kept bytes: a new stream begins here."""
        self.kept.clear()
        self.kept_whole = True

    def peek(self) -> bytes:
        """Return the next byte without reading it; empty at the end."""
        return self._buffer[self._at : self._at + 1] if self._fill(1) else b""

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer at the end; an excessive size raises `UnreadableError`."""
        if size > MAX_ARGUMENT:
            raise UnreadableError(f"a value of {size} bytes; at most {MAX_ARGUMENT} are read")
        self._fill(size)
        return self._take(size)

    def readline(self) -> bytes:
        """Return the next line with its newline, cut at the end of the data or at the longest line allowed."""
        wanted = 256
        while True:
            full = self._fill(wanted)
            end = self._buffer.find(b"\n", self._at, self._at + wanted)
            if end >= 0:
                return self._take(end + 1 - self._at)
            if not full or wanted >= MAX_LINE:
                return self._take(wanted)
            wanted *= 2

    def _fill(self, size: int) -> bool:
        """Buffer at least `size` bytes; False if the data end before."""
        missing = size - (len(self._buffer) - self._at)
        if missing <= 0:
            return True
        pieces = [self._buffer[self._at :]]
        while missing > 0:
            chunk = next(self._chunks, b"")
            if not chunk:
                break
            pieces.append(chunk)
            missing -= len(chunk)
        self._buffer, self._at = b"".join(pieces), 0
        return missing <= 0

    def _take(self, size: int) -> bytes:
        taken = self._buffer[self._at : self._at + max(size, 0)]
        self._at += len(taken)
        self.position += len(taken)
        room = KEEP - len(self.kept)
        self.kept += taken[:room]
        self.kept_whole = self.kept_whole and len(taken) <= room
        return taken
