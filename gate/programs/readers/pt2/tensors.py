"""Raw records to tensors, each within the bytes that the archive really holds."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from gate.programs.readers.pt2.cursor import Cursor
from gate.programs.refused import RefusedError
from gate.programs.schema import TensorRecord, read_tensor_config

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gate.programs.readers.pt2.archive import Archive

MAX_TENSORS = 50_000
MAX_ELEMENTS = 1 << 34
MAX_EXPANDED = 1 << 24
"""Most elements of a tensor whose strides repeat them: a short text for a large value."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor of an archive, and whether other loaders give it gradients: with them, kernels may round otherwise."""

    tensor: torch.Tensor
    requires_grad: bool


def read_tensors(archive: Archive, kind: str) -> dict[str, Stored]:
    """Return all tensors of a kind (weights or constants) by qualified name, on the CPU."""
    if sys.byteorder != "little":
        raise RefusedError("byteorder", "raw records are little-endian; this machine is not")
    config_name = archive.config_name(kind)
    if config_name not in archive.members:
        if archive.records(kind):
            raise RefusedError(config_name, "the archive holds tensors without a description")
        return {}
    records = read_tensor_config(Cursor(archive.json(config_name), config_name))
    if len(records) > MAX_TENSORS:
        raise RefusedError(config_name, f"{len(records)} tensors; at most {MAX_TENSORS} are read")
    storages: dict[str, torch.Tensor] = {}
    reach: dict[str, int] = {}
    tensors: dict[str, Stored] = {}
    for name, record in records.items():
        member = archive.record_name(kind, record.path_name)
        where = f"{config_name}.{name}"
        if member not in storages:
            storages[member] = _storage(archive.record(member), record.dtype, member)
        tensors[name] = Stored(_tensor(storages[member], record, where), record.requires_grad)
        reach[member] = max(reach.get(member, 0), _reach(record))
    for member, elements in reach.items():
        if elements != storages[member].numel():
            message = f"holds {storages[member].numel()} elements; expected {elements}, as far as its tensors reach "
            raise RefusedError(member, message + "(clone a view of a larger tensor before exporting it)")
    unclaimed = archive.records(kind) - storages.keys()
    if unclaimed:
        raise RefusedError(min(unclaimed), "the record belongs to no tensor")
    return tensors


def refuse_non_finite(tensors: Mapping[str, torch.Tensor]) -> None:
    """Refuse weights that hold NaN or infinity: comparisons with them are always false."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise RefusedError(name, "the tensor holds NaN or infinity")


def _storage(raw: bytes, dtype: torch.dtype, member: str) -> torch.Tensor:
    """Return a record's bytes as a flat tensor of its own memory."""
    if len(raw) % dtype.itemsize:
        raise RefusedError(member, f"{len(raw)} bytes are no whole number of {dtype} elements")
    if not raw:
        return torch.empty(0, dtype=dtype)
    if dtype is torch.bool and raw.strip(b"\x00\x01"):
        raise RefusedError(member, "a boolean is neither 0 nor 1")
    return torch.frombuffer(bytearray(raw), dtype=dtype)


def _tensor(storage: torch.Tensor, record: TensorRecord, where: str) -> torch.Tensor:
    """Return a view of the storage with the described layout, once it is shown to lie inside."""
    if storage.dtype != record.dtype:
        raise RefusedError(where, f"the same record is read as {storage.dtype} and as {record.dtype}")
    if len(record.sizes) != len(record.strides):
        raise RefusedError(where, "sizes and strides differ in number")
    elements = math.prod(record.sizes)
    if elements > MAX_ELEMENTS:
        raise RefusedError(where, f"{elements} elements; at most {MAX_ELEMENTS} are read")
    if elements == 0:
        return torch.empty(record.sizes, dtype=record.dtype)
    if _reach(record) > storage.numel():
        raise RefusedError(where, f"element {_reach(record) - 1} lies outside a record of {storage.numel()}")
    if elements > max(storage.numel(), MAX_EXPANDED):
        raise RefusedError(where, f"the strides make {elements} elements out of {storage.numel()}")
    return storage.as_strided(record.sizes, record.strides, record.offset)


def _reach(record: TensorRecord) -> int:
    """Return how many elements of its record a tensor reaches into."""
    if 0 in record.sizes:
        return 0
    last = sum((size - 1) * stride for size, stride in zip(record.sizes, record.strides, strict=True))
    return record.offset + last + 1
