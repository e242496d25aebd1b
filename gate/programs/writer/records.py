"""Tensors to raw records, laid out as they lie in memory: a loader's kernels then take the same path over them.

The bits of a sum depend on the order in which a kernel walks its operands, and that on strides and alignment. So a
tensor keeps its strides, tensors that share memory share a record, and elements that no tensor reads are zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch

from gate.programs.refused import RefusedError
from gate.programs.schema import DTYPES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

ALIGNMENT: Final = 64
"""Bytes to which loaders align a record; it begins at a multiple of them in its memory of origin."""
_WRITTEN: Final = frozenset(DTYPES.values())


@dataclass(frozen=True, slots=True)
class Placed:
    """A tensor on the CPU, and where it begins in which record."""

    tensor: torch.Tensor
    record: int
    offset: int

    @property
    def reach(self) -> int:
        """Elements of its record up to the tensor's last."""
        return self.offset + _span(self.tensor)


@dataclass(frozen=True, slots=True)
class Layout:
    """All tensors of a kind by name, and how many records they need."""

    placed: Mapping[str, Placed]
    count: int

    def content(self, record: int) -> bytes:
        """Return a record's bytes, exactly as long as its tensors reach; elements that none of them reads are zero."""
        members = [placed for placed in self.placed.values() if placed.record == record]
        size = max(placed.reach for placed in members)
        if size == 0:
            return b""
        first = members[0]
        flat = first.tensor.as_strided((size,), (1,), first.tensor.storage_offset() - first.offset)
        if not any(_covers(placed, size) for placed in members):
            flat = flat.masked_fill(~_read_elements(members, size), 0)
        return flat.view(torch.uint8).numpy().tobytes()


def lay_out(tensors: Mapping[str, torch.Tensor], apart: Collection[str] = ()) -> Layout:
    """Return where each tensor goes: records in the order of the tensors, one for each piece of memory.

    Those in `apart` share records only with each other.
    """
    plain = {name: _plain(name, tensor) for name, tensor in tensors.items()}
    keys = {name: (name in apart, *_memory(name, tensor)) for name, tensor in plain.items()}
    start: dict[tuple[object, ...], int] = {}
    for name, tensor in plain.items():
        per_line = ALIGNMENT // tensor.dtype.itemsize
        begins = int(tensor.storage_offset()) // per_line * per_line
        key = keys[name]
        start[key] = min(start.get(key, begins), begins)
    number = {key: index for index, key in enumerate(start)}
    placed = {}
    for name, tensor in plain.items():
        key = keys[name]
        offset = int(tensor.storage_offset()) - start[key] if tensor.numel() else 0
        placed[name] = Placed(tensor, number[key], offset)
    return Layout(placed, len(start))


def _memory(name: str, tensor: torch.Tensor) -> tuple[object, ...]:
    """Return the key that tensors of one record share; other types over the same bytes get a record of their own."""
    if tensor.numel() == 0:
        return (name,)
    return tensor.untyped_storage().data_ptr(), tensor.dtype


def _plain(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor on the CPU whose bytes are its values, its strides kept; one without such bytes is refused."""
    if type(tensor) not in {torch.Tensor, torch.nn.Parameter} or tensor.is_meta or tensor.layout is not torch.strided:
        raise RefusedError(name, f"a {type(tensor).__name__} of layout {tensor.layout} on {tensor.device} has no bytes")
    if tensor.dtype not in _WRITTEN:
        raise RefusedError(name, f"the type {tensor.dtype} is not written")
    return tensor.detach().cpu().resolve_neg()


def _span(tensor: torch.Tensor) -> int:
    """Return the number of elements from a tensor's first to its last in memory."""
    if tensor.numel() == 0:
        return 0
    return sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True)) + 1


def _covers(placed: Placed, size: int) -> bool:
    """Whether a tensor reads each element of its record exactly once: strides that are some order of its sizes."""
    if placed.offset or placed.tensor.numel() != size:
        return False
    expected = 1
    for stride, length in sorted(zip(placed.tensor.stride(), placed.tensor.shape, strict=True)):
        if length != 1:
            if stride != expected:
                return False
            expected *= length
    return True


def _read_elements(members: Sequence[Placed], size: int) -> torch.Tensor:
    """Return which elements of a record its tensors read."""
    read = torch.zeros(size, dtype=torch.bool)
    for placed in members:
        strides = placed.tensor.stride()
        # A repeated element is marked once: torch refuses to write to a view that repeats one.
        sizes = [1 if stride == 0 else length for length, stride in zip(placed.tensor.shape, strides, strict=True)]
        read.as_strided(sizes, strides, placed.offset).fill_(1)
    return read
