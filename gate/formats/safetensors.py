"""The header of a safetensors file, checked against the format: only tensors, back to back, and all of the file."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

from gate.formats.source import Source, UnreadableError
from gate.records.errors import GateError
from gate.records.record import parse_json

_MAX_HEADER = 100_000_000
_MAX_RANK = 64
_BITS = {"BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "I16": 16, "U16": 16, "F16": 16}
_BITS |= {"BF16": 16, "I32": 32, "U32": 32, "F32": 32, "F64": 64, "I64": 64, "U64": 64, "C64": 64, "F4": 4}
_BITS |= {"F8_E5M2FNUZ": 8, "F8_E4M3FNUZ": 8, "F6_E2M3": 6, "F6_E3M2": 6}


@dataclass(frozen=True)
class Tensor:
    """One tensor of a file, by its header alone."""

    dtype: str
    """The format's own name, such as `F32`."""
    shape: tuple[int, ...]
    begin: int
    """Offset of its bytes in the file."""
    size: int
    """Number of its bytes."""


def header_size(source: Source) -> int:
    """Return the length that the file states for its header."""
    return int.from_bytes(source.read(0, 8), "little")


def looks_like_safetensors(source: Source) -> bool:
    """Tell whether the file begins as the format does: with a plausible length, then a brace."""
    return 2 <= header_size(source) <= min(_MAX_HEADER, source.size - 8) and source.read(8, 1) == b"{"


def check_safetensors(source: Source) -> None:
    """Raise `UnreadableError` unless the header describes the file exactly."""
    tensors_of(source)


def tensors_of(source: Source) -> dict[str, Tensor]:
    """Return the tensors by name, or raise `UnreadableError` unless the header describes the file exactly."""
    size = header_size(source)
    if not looks_like_safetensors(source):
        raise UnreadableError("no safetensors header")
    try:
        header = parse_json(source.read(8, size), what="safetensors header", limit=_MAX_HEADER)
    except GateError as error:
        raise UnreadableError(str(error)) from None
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise UnreadableError("metadata that are no texts")
    end = 0
    for begin, stop in sorted(_spans(header)):
        if begin != end:
            raise UnreadableError(f"tensors that overlap or leave a gap at {begin}")
        end = stop
    if 8 + size + end != source.size:
        raise UnreadableError(f"{source.size - 8 - size} bytes of tensors where the header states {end}")
    return {name: _tensor(entry, 8 + size) for name, entry in header.items()}


def _tensor(entry: dict[str, Any], start: int) -> Tensor:
    begin, end = entry["data_offsets"]
    return Tensor(entry["dtype"], tuple(entry["shape"]), start + begin, end - begin)


def _spans(header: dict[str, Any]) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each tensor, checked against its shape and type."""
    for name, entry in header.items():
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise UnreadableError(f"tensor {name!r:.60} without type, shape and offsets")
        shape, offsets = entry["shape"], entry["data_offsets"]
        if not _naturals(shape) or len(shape) > _MAX_RANK or not _naturals(offsets) or len(offsets) != 2:
            raise UnreadableError(f"tensor {name!r:.60} with a shape or offsets that are no numbers")
        bits = _BITS.get(str(entry["dtype"]))
        if bits is None or prod(shape) * bits != 8 * (offsets[1] - offsets[0]):
            raise UnreadableError(f"tensor {name!r:.60} whose size is not that of its shape")
        yield offsets[0], offsets[1]


def _naturals(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 1 << 62 for item in value)
