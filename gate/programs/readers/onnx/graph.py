"""The one graph of an ONNX model as frozen values: inputs, constants, and nodes in an order in which they can run.

Nothing here needs the package `onnx`, so that the table of operators can be listed without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch

from gate.programs.readers.onnx.refused import OnnxRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

OPSETS: Final = range(7, 23)
"""Versions of the default operator set that the table is tested with."""
DTYPES: Final = {
    1: torch.float32, 2: torch.uint8, 3: torch.int8, 5: torch.int16, 6: torch.int32, 7: torch.int64, 9: torch.bool,
    10: torch.float16, 11: torch.float64, 16: torch.bfloat16,
}  # fmt: skip
"""Number types by their codes in TensorProto.DataType."""
_MAX_NUMBERS: Final = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """An initializer, or what was computed from initializers alone."""

    name: str
    tensor: torch.Tensor
    values: NDArray[Any] | None
    """The same numbers for NumPy, if they are few: torch shows none while it exports."""

    @classmethod
    def of(cls, name: str, tensor: torch.Tensor) -> Constant:
        """Take a tensor's numbers along, where they may be sizes, axes or limits."""
        if tensor.numel() > _MAX_NUMBERS:
            return cls(name, tensor, None)
        return cls(name, tensor, (tensor.float() if tensor.dtype is torch.bfloat16 else tensor).numpy())


@dataclass(frozen=True, slots=True)
class OnnxInput:
    """A tensor that the caller passes; None where any size was declared."""

    name: str
    shape: tuple[int | None, ...]
    dtype: torch.dtype


@dataclass(frozen=True, slots=True)
class OnnxNode:
    """One node: its operator of the default domain, names (empty where left out), and attributes as plain values."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    where: str


@dataclass(frozen=True, slots=True)
class OnnxGraph:
    """A whole model."""

    opset: int
    inputs: tuple[OnnxInput, ...]
    outputs: tuple[str, ...]
    nodes: tuple[OnnxNode, ...]
    constants: Mapping[str, Constant]
    """Initializers by name."""


def dtype_of(code: int, where: str) -> torch.dtype:
    """Return the number type of a code; quantised, complex and text types are refused."""
    if code not in DTYPES:
        raise OnnxRefusedError(where, f"the number type {code} is not read")
    return DTYPES[code]
