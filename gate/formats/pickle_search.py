"""Finds every pickle in a file by content: bare, in zips, tars and compressed data, behind array headers, misnamed.

The name of a file only adds suspicion: bytes that are named like a pickle but cannot be read as one are reported, too.
"""

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from gate.formats.compression import compression_of, inflated, unmarked
from gate.formats.pickles import PickleWalk, walk_pickle
from gate.formats.source import Bounds, ByteStream, ExceededError, Source, UnreadableError
from gate.formats.zip_headers import LOCAL
from gate.formats.zip_members import member_source
from gate.formats.zips import is_zip, read_zip

PICKLE_SUFFIXES = frozenset(
    {".bin", ".ckpt", ".debug_pkl", ".dill", ".joblib", ".p", ".pickle", ".pkl", ".pt", ".pt2", ".pth", ".sav", ".tar"}
)
LEGACY_TORCH = 0x1950A86A20F9469CFC6C
"""The integer that begins a torch file from before zips."""
_LEGACY_STREAMS = 5
_MAX_STREAMS = 1000
_CLOSED = {b"7z\xbc\xaf\x27\x1c": "7z", b"\x28\xb5\x2f\xfd": "zstd", b"\x04\x22\x4d\x18": "lz4", b"Rar!\x1a\x07": "rar"}
_CLOSED |= {b"\x02\x21\x4c\x18": "lz4", b"LZIP": "lzip", b"ZF0x": "old joblib"}
_NPY = b"\x93NUMPY"
_PLAIN_HEADER = re.compile(
    rb"\{'descr': '[<>|=]?[biufcSUmM]\d+(\[[a-zA-Z0-9]+\])?', 'fortran_order': (True|False), "
    rb"'shape': \([\d, ]*\), ?\}\s*"
)
_RAW_MEMBER = re.compile(r"(data|weights|constants|tensors|storages)/[a-z_]*\d+$")
"""Members of torch archives that hold raw numbers, in which any bytes may occur by chance."""
_PROTO = b"\x80"


@dataclass(frozen=True)
class FoundPickle:
    """One pickle stream."""

    where: str
    """The file; with `!` and the member if nested."""
    walk: PickleWalk


@dataclass(frozen=True)
class Blocked:
    """A place that may hold a pickle and could not be read."""

    where: str
    why: str


Found = FoundPickle | Blocked


def find_pickles(source: Source, where: str, bounds: Bounds, depth: int = 0) -> Iterator[Found]:
    """Yield every pickle stream in the bytes, and every place that could not be read."""
    bounds.tick()
    head = source.read(0, 512)
    try:
        if is_zip(source):
            yield from _in_zip(source, where, bounds, depth)
            if head.startswith(LOCAL):
                return
        if kind := compression_of(head):
            yield from _in_compressed(source, kind, where, bounds)
        elif closed := next((name for magic, name in _CLOSED.items() if head.startswith(magic)), ""):
            yield Blocked(where, f"{closed} data are not looked into")
        elif head[257:262] == b"ustar":
            yield from _in_tar(source, where, bounds, depth)
        elif head.startswith(_NPY):
            yield from _behind_header(source, where, bounds)
        else:
            yield from _streams(ByteStream(source.chunks()), where, bounds)
            for kind in () if _RAW_MEMBER.search(where) else unmarked(head):
                yield from _in_unmarked(source, kind, where, bounds)
    except UnreadableError as error:
        yield Blocked(where, str(error))


def _in_zip(source: Source, where: str, bounds: Bounds, depth: int) -> Iterator[Found]:
    if depth >= bounds.max_depth:
        yield Blocked(where, f"more than {bounds.max_depth} archives inside each other")
        return
    for member in read_zip(source, bounds).members:
        bounds.tick()
        inner = f"{where}!{member.name}"
        if member.compressed_size == 0:
            continue
        try:
            unpacked = member_source(source, member, bounds.max_inflated_bytes, bounds.budget)
            found = list(find_pickles(unpacked, inner, bounds, depth + 1))
        except UnreadableError as error:
            found = [Blocked(inner, str(error))]
        numbers = _RAW_MEMBER.search(member.name) is not None and not _named_like_pickle(member.name)
        yield from (item for item in found if not (numbers and isinstance(item, Blocked)))


def _in_compressed(source: Source, kind: str, where: str, bounds: Bounds) -> Iterator[Found]:
    stream = ByteStream(bounds.budget.counted(inflated(source.chunks(), kind, bounds.max_inflated_bytes)))
    try:
        first = stream.peek()
    except UnreadableError as error:
        if _named_like_pickle(where) or kind != "zlib":
            yield Blocked(where, str(error))
        return
    if first == LOCAL[:1] or not first:
        yield Blocked(where, f"{kind} data around an archive, or around nothing, are not looked into")
        return
    found = list(_streams(stream, where, bounds))
    yield from found
    if not found and kind != "zlib":
        yield Blocked(where, f"{kind} data that hold no pickle are not looked into")


def _in_unmarked(source: Source, kind: str, where: str, bounds: Bounds) -> Iterator[Found]:
    """Read the bytes as of a format without a magic number, and yield what must be a pickle then."""
    stream = ByteStream(bounds.budget.counted(inflated(source.chunks(), kind, bounds.max_inflated_bytes)))
    try:
        for item in _streams(stream, where, bounds):
            walk = item.walk if isinstance(item, FoundPickle) else None
            if walk is not None and walk.is_certain and (walk.calls > 0 or not walk.fault):
                yield item
    except UnreadableError:
        return


def _in_tar(source: Source, where: str, bounds: Bounds, depth: int) -> Iterator[Found]:
    if depth >= bounds.max_depth:
        yield Blocked(where, f"more than {bounds.max_depth} archives inside each other")
        return
    try:
        with tarfile.open(fileobj=_File(source), mode="r:") as archive:  # type: ignore[call-overload]
            entries = [(entry.name, entry.offset_data, entry.size) for entry in _bounded(archive, bounds)]
            bounds.budget.enter(len(entries))
    except ExceededError:
        raise
    except Exception as error:  # noqa: BLE001  # any failure of a parser of hostile bytes is what was found
        yield Blocked(where, f"damaged tar: {type(error).__name__}")
        return
    for name, offset, size in entries:
        yield from find_pickles(source.window(offset, size), f"{where}!{name}", bounds, depth + 1)


def _bounded(archive: tarfile.TarFile, bounds: Bounds) -> Iterator[tarfile.TarInfo]:
    for count, entry in enumerate(archive):
        if count >= bounds.max_members:
            raise UnreadableError("too many members")
        if entry.isfile():
            yield entry


class _File:
    """What `tarfile` needs of a file."""

    def __init__(self, source: Source) -> None:
        self._source, self._at = source, 0

    def read(self, size: int = -1) -> bytes:
        chunk = self._source.read(self._at, self._source.size if size < 0 else size)
        self._at += len(chunk)
        return chunk

    def seek(self, offset: int, _whence: int = 0) -> int:
        self._at = offset
        return offset

    def tell(self) -> int:
        return self._at


def _behind_header(source: Source, where: str, bounds: Bounds) -> Iterator[Found]:
    """Look behind a NumPy header: only a plain header says that the array holds no pickle, as object arrays do."""
    major = source.read(6, 1)
    width = 2 if major == b"\x01" else 4
    size = int.from_bytes(source.read(8, width), "little")
    header = source.read(8 + width, min(size, 1 << 16))
    if _PLAIN_HEADER.fullmatch(header):
        return
    found = list(_streams(ByteStream(source.chunks(8 + width + size)), where, bounds))
    yield from found
    if not found:
        yield Blocked(where, "an array whose header is not one of plain numbers")


def _streams(stream: ByteStream, where: str, bounds: Bounds) -> Iterator[Found]:
    """Walk consecutive streams; bytes that are no pickle yield nothing unless they are named as one."""
    named = _named_like_pickle(where)
    expected = 1
    for index in range(_MAX_STREAMS):
        first = stream.peek()
        if not first or index >= expected:
            break
        walk = walk_pickle(stream, bounds)
        certain = walk.is_certain and (first == _PROTO or walk.calls > 0 or not walk.fault)
        if named or certain:
            yield FoundPickle(where, walk)
        if walk.fault:
            return
        if index == 0 and walk.number == LEGACY_TORCH:
            expected = _LEGACY_STREAMS
        elif expected != _LEGACY_STREAMS and stream.peek() == _PROTO:
            expected += 1
    if named and expected != _LEGACY_STREAMS and stream.peek():
        yield Blocked(where, f"bytes after the end of the pickle, at {stream.position}")


def _named_like_pickle(where: str) -> bool:
    return PurePosixPath(where.rsplit("!", maxsplit=1)[-1]).suffix.lower() in PICKLE_SUFFIXES
