"""State dicts: tensors by name, put into an architecture that the gate itself carries.

The artifact names the architecture in `architecture.json`; nothing of the artifact's own is run. What the architecture
needs is known before a tensor is read: names, shapes and types must match it exactly, none more and none fewer, so that
sizes are bounded by the gate's own module and never by what a file claims.
"""

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, Final

import torch
from pydantic import Field
from safetensors.torch import load_file

from gate.formats.safetensors import read_header
from gate.formats.source import UnreadableError, open_source
from gate.programs.readers.torch_archive import read_torch_zip
from gate.records.errors import GateError, UnexaminableError
from gate.records.record import Record, read_bounded
from gate.worker.loading import architectures

ARCHITECTURE_FILE: Final = "architecture.json"
MAX_ARCHITECTURE_BYTES: Final = 64 << 10
MAX_ELEMENTS: Final = 1 << 31
"""No state dict of more elements is read."""

_SPARE_BYTES: Final = 1 << 20
"""What names, headers and alignment may take in a torch archive beside the tensors."""
_DTYPES: Final = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
}

Described = Mapping[str, tuple[tuple[int, ...], torch.dtype | str]]
"""Shape and type of each tensor by its name."""


class NamedArchitecture(Record):
    """What `architecture.json` says."""

    name: str = Field(max_length=60)
    config: dict[str, Any]


def load_state_dict(path: Path) -> tuple[torch.nn.Module, str]:
    """Return the architecture that stands beside a state dict, filled with it and in eval mode, and its name."""
    try:
        raw = read_bounded(path.parent / ARCHITECTURE_FILE, limit=MAX_ARCHITECTURE_BYTES)
        named = NamedArchitecture.from_json(raw, what=ARCHITECTURE_FILE)
    except GateError as error:
        raise UnexaminableError(f"the state dict's architecture cannot be read: {error}") from None
    module = architectures.load(named.name).shaped(named.config)
    expected = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in module.state_dict().items()}
    elements = sum(prod(shape) for shape, _ in expected.values())
    if elements > MAX_ELEMENTS:
        raise UnexaminableError(
            f"the architecture {named.name} as configured has {elements} elements; at most {MAX_ELEMENTS} are read"
        )
    tensors = _safetensors(path, expected) if path.suffix == ".safetensors" else _torch_archive(path, expected)
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise UnexaminableError(f"the tensor {name!r} of the state dict holds NaN or infinity")
    module.load_state_dict(tensors, strict=True, assign=True)
    return module.eval().requires_grad_(requires_grad=False), named.name


def _safetensors(path: Path, expected: Described) -> dict[str, torch.Tensor]:
    try:
        with open_source(path) as source:
            header = read_header(source)
    except UnreadableError as error:
        raise UnexaminableError(f"{path.name} cannot be read: {error}") from None
    refuse_difference({name: (shape, _DTYPES.get(dtype, dtype)) for name, (dtype, shape) in header.items()}, expected)
    tensors: dict[str, torch.Tensor] = load_file(path)
    return tensors


def _torch_archive(path: Path, expected: Described) -> dict[str, torch.Tensor]:
    """Read a torch archive by the weights-only unpickler, once its size is one that the architecture explains."""
    needed = sum(prod(shape) * _itemsize(dtype) for shape, dtype in expected.values())
    stored = _stored_bytes(path, 2 * needed + _SPARE_BYTES)
    try:
        value = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001  # hostile bytes may raise anything; all of it means: refused
        raise UnexaminableError(
            f"{path.name} does not load as tensors alone: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
        ) from None
    if not isinstance(value, dict) or not all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in value.items()
    ):
        raise UnexaminableError(f"{path.name} holds a {type(value).__name__}; expected a dictionary of tensors by name")
    for name, tensor in value.items():
        if tensor.layout is not torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
            raise UnexaminableError(f"the tensor {name[:100]!r} of the state dict is no plain tensor in memory")
    refuse_difference({name: (tuple(tensor.shape), tensor.dtype) for name, tensor in value.items()}, expected)
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in value.values()}
    # A pickle states how large its storages are: beyond the records of the archive lies foreign memory.
    if sum(storages.values()) > stored:
        raise UnexaminableError(f"{path.name} claims {sum(storages.values())} bytes of tensors and holds {stored}")
    # Copies: no hooks, no shared storage, no views.
    return {name: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in value.items()}


def _stored_bytes(path: Path, limit: int) -> int:
    """Return the bytes of all members of a torch archive; one that is no zip, or larger unpacked, is refused."""
    members = read_torch_zip(path)
    if members is None:
        raise UnexaminableError(
            f"{path.name} is no torch archive", what_to_do="Save it with torch 1.6 or newer, or as model.safetensors."
        )
    stored = sum(member.size for member in members)
    if stored > limit:
        raise UnexaminableError(f"{path.name} unpacks to {stored} bytes; the architecture explains at most {limit}")
    return stored


def _itemsize(dtype: torch.dtype | str) -> int:
    assert isinstance(dtype, torch.dtype)
    return dtype.itemsize


def refuse_difference(found: Described, expected: Described) -> None:
    """Refuse a state dict whose names, shapes or types are not exactly those that the architecture has."""
    if missing := [name for name in expected if name not in found]:
        raise UnexaminableError(_names("lacks", missing, len(expected)))
    if surplus := [name for name in found if name not in expected]:
        raise UnexaminableError(_names("holds beyond the architecture's", surplus, len(expected)))
    for name, (shape, dtype) in expected.items():
        got_shape, got_dtype = found[name]
        if got_shape != shape:
            raise UnexaminableError(f"the tensor {name!r} has shape {str(got_shape)[:100]}; expected {shape}")
        if got_dtype != dtype:
            raise UnexaminableError(f"the tensor {name!r} is of type {got_dtype}; expected {dtype}")


def _names(how: str, names: list[str], count: int) -> str:
    shown = ", ".join(ascii(name[:60]) for name in names[:3])
    return f"the state dict {how} {shown} ({len(names)} in all); expected exactly {count} tensors of the architecture"
