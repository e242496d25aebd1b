"""Tensors of a safetensors file as arrays, by what its checked header says."""

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
    if tensor.dtype not in _TYPES:
        raise UnexaminableError(f"a tensor of {stored.path.name} is of the type {tensor.dtype}, which is not read")
    with open_source(stored.path) as source:
        raw = np.frombuffer(source.read(tensor.begin, tensor.size), dtype=_TYPES[tensor.dtype])
    if tensor.dtype == "BF16":  # the upper half of a float32, which NumPy has no type for
        raw = (raw.astype("<u4") << 16).view("<f4")
    values = raw.astype(np.float64).reshape(tensor.shape)
    if not np.isfinite(values).all():
        raise UnexaminableError(f"a tensor of {stored.path.name} holds values that are not finite")
    return values
