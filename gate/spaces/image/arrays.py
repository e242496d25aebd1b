"""Samples from an `.npz` without pickles: every size is bounded by reading, not by a header's claim."""

import zipfile
import zlib
from math import prod
from typing import Any, BinaryIO

import numpy as np

from gate.records.class_names import MAX_NAMES
from gate.records.class_names import bounded as bounded_names
from gate.records.errors import UnexaminableError
from gate.spaces.image import stored
from gate.spaces.image.foreign_samples import HEAD_BYTES, Stored, archive_kind, file_kind
from gate.spaces.image.stored import Array, RawSamples, Room, refused

MAX_ARRAYS = 64
"""Most arrays in one `.npz`."""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_NPY, _CLASSES = ".npy", "classes"
_DAMAGE = (ValueError, OSError, EOFError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""Errors of zipfile and numpy on bytes that contradict their headers."""


def read_arrays(stream: BinaryIO, source: str) -> RawSamples:
    """Read `inputs` and, if present, `labels` and the classes' names."""
    if not zipfile.is_zipfile(stream):
        stream.seek(0)
        raise UnexaminableError(f"the samples {source} are no .npz file; this is {file_kind(stream.read(HEAD_BYTES))}")
    room = Room(source)
    try:
        with zipfile.ZipFile(stream) as archive:
            members = _members(archive, source)
            if "inputs" not in members:
                said = archive_kind([info.filename for info in archive.infolist()], _headers(archive, members))
                raise UnexaminableError(f"the samples {source} {said}")
            inputs = _array(archive, members["inputs"], room)
            labels = _array(archive, members["labels"], room) if "labels" in members else None
            names = _class_names(archive, members, room)
            others = {} if "labels" in members else _headers(archive, members)
    except _DAMAGE as error:
        raise refused(f"the samples {source} cannot be read as arrays without pickles: {str(error)[:200]}") from None
    return RawSamples(inputs, labels, source, names, others)


def _class_names(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], room: Room) -> dict[int, str]:
    """Return the array `classes` where it is a list of texts; any other array of that name is ignored."""
    if _CLASSES not in members:
        return {}
    try:
        array = _array(archive, members[_CLASSES], room)
        return bounded_names(array[:MAX_NAMES].tolist()) if array.ndim == 1 and array.dtype.kind in "US" else {}
    except (UnexaminableError, SystemError, *_DAMAGE):  # NumPy raises SystemError for a character beyond Unicode
        return {}


def _headers(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> dict[str, Stored]:
    """Return the headers of the arrays that have one; no data is read."""
    found = {}
    for name, info in members.items():
        try:
            with archive.open(info) as member:
                shape, _, dtype = _read_header(member, info)
        except (*_DAMAGE, UnexaminableError):
            continue
        found[name] = Stored(shape, dtype.kind)
    return found


def _read_header(member: Any, info: zipfile.ZipInfo) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(member)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in read_header:
        raise refused(f"the samples' array {info.filename[:100]!r} is of NumPy's format {version}")
    return read_header[version](member)


def _members(archive: zipfile.ZipFile, source: str) -> dict[str, zipfile.ZipInfo]:
    """Return the members by their arrays' names; a directory that `numpy.savez` does not write is refused."""
    infos = archive.infolist()
    if len(infos) > MAX_ARRAYS:
        raise refused(f"the samples {source} hold {len(infos)} arrays; at most {MAX_ARRAYS} are read")
    if (stated := sum(info.file_size for info in infos)) > stored.MAX_BYTES:
        raise refused(f"the samples {source} unpack to {stated} bytes; at most {stored.MAX_BYTES >> 30} GiB are read")
    if odd := [info.filename for info in infos if info.compress_type not in _METHODS]:
        raise refused(f"the samples' member {odd[0][:100]!r} is not packed as numpy packs it (stored or deflated)")
    named = {info.filename.removesuffix(_NPY): info for info in infos}
    if len(named) < len(infos):
        raise refused(f"the samples {source} hold two arrays of one name")
    return named


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, room: Room) -> Array:
    """Read one array; its header's claim is counted before memory is taken, and no object is unpickled."""
    with archive.open(info) as member:
        shape, fortran_order, dtype = _read_header(member, info)
        if dtype.hasobject:
            raise UnexaminableError(
                f"the samples' array {info.filename[:100]!r} holds Python objects, which are pickles and never opened: "
                "save numbers of one shape and type, such as inputs=numpy.stack(images), labels=numpy.array(classes)"
            )
        if min(shape, default=0) < 0:
            raise refused(f"the samples' array {info.filename[:100]!r} states the shape {shape}")
        size = prod(shape) * dtype.itemsize
        room.take(size)
        raw = bytearray()
        while len(raw) <= size and (chunk := member.read(min(1 << 24, size + 1 - len(raw)))):
            raw += chunk
    if len(raw) != size:
        found = f"{len(raw)}" if len(raw) < size else "more"
        raise refused(f"the samples' array {info.filename[:100]!r} states {size} bytes and holds {found}")
    flat = np.frombuffer(raw, dtype=dtype)
    return flat.reshape(shape[::-1]).transpose() if fortran_order else flat.reshape(shape)
