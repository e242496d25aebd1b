"""Tensors of a safetensors file as arrays, by what its checked header says, whole or by blocks of rows."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from gate.formats.adapters.base import Stored
from gate.formats.source import open_source
from gate.records.errors import UnexaminableError
from gate.statistics.low_rank import Floats

_TYPES: Final = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "F64": "<f8"}


def read_array(stored: Stored) -> Floats:
    """Return a tensor in double precision; another type, or a value that is not finite, is an `UnexaminableError`."""
    tensor = stored.tensor
    return _values(stored, tensor.begin, tensor.size).reshape(tensor.shape)


def row_blocks(stored: Stored, most: int) -> Iterator[Floats]:
    """Yield a tensor's rows in double precision, in blocks of at most so many entries, or of one row.

    A vector is one row to an entry. Errors are those of `read_array`.
    """
    tensor = stored.tensor
    if not tensor.shape or 0 in tensor.shape:
        return
    rows, entries = tensor.shape[0], int(np.prod(tensor.shape[1:], dtype=np.int64))
    each, size = max(1, most // entries), tensor.size // rows
    for begin in range(0, rows, each):
        count = min(each, rows - begin)
        yield _values(stored, tensor.begin + begin * size, count * size).reshape(count, entries)


def rounded(values: Floats, dtype: str) -> Floats:
    """Return values as they are once stored in a type; beyond its range they are infinite."""
    if dtype == "BF16":
        bits = values.astype("<f4").view("<u4")
        even = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
        return (even & np.uint32(0xFFFF0000)).view("<f4").astype(np.float64)
    with np.errstate(over="ignore"):
        return values.astype(_TYPES[dtype]).astype(np.float64)


def _values(stored: Stored, begin: int, size: int) -> Floats:
    dtype = stored.tensor.dtype
    if dtype not in _TYPES:
        raise UnexaminableError(f"a tensor of {stored.path.name} is of the type {dtype}, which is not read")
    with open_source(stored.path) as source:
        raw = np.frombuffer(source.read(begin, size), dtype=_TYPES[dtype])
    if dtype == "BF16":  # the upper half of a float32, which NumPy has no type for
        raw = (raw.astype("<u4") << 16).view("<f4")
    values = raw.astype(np.float64)
    if not np.isfinite(values).all():
        raise UnexaminableError(f"a tensor of {stored.path.name} holds values that are not finite")
    return values


def changes(own: Stored, base: Stored, most: int) -> Iterator[tuple[Floats, Floats]]:
    """Yield the change of a tensor's rows and the base's rows, block by block, both in the candidate's own type.

    Both are of one shape. What the base's values lose in that type is no change. The candidate's are never rounded: a
    change that a coarser type hides is one that a consumer loads (compare Egashira et al., NeurIPS 2024, whose attacks
    are by number type).
    """
    for mine, theirs in zip(row_blocks(own, most), row_blocks(base, most), strict=True):
        before = rounded(theirs, own.tensor.dtype)
        yield mine - before, before
