"""One call of an operator: its operands as tensors or as numbers, and its attributes with their defaults.

A value is a tensor that depends on the input, a constant, or `Numbers`: sizes and what is computed from them, held as
an object array of integers so that a free batch stays free.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from gate.programs.readers.onnx.graph import Constant, OnnxNode
from gate.programs.readers.onnx.refused import OnnxRefusedError

Numbers = NDArray[np.object_]
"""Integers, some of which may be sizes that are not known yet."""

Value = torch.Tensor | Constant | Numbers
State = Callable[[Constant], torch.Tensor]
HERE: Final = torch.device("cpu")


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A node with its operands."""

    node: OnnxNode
    operands: tuple[Value | None, ...]
    opset: int
    state: State
    """Gives the tensor of a constant: on the meta device, as a parameter, or itself."""
    device: torch.device = HERE
    """Where tensors are made of nothing but sizes."""

    def __len__(self) -> int:
        return len(self.operands)

    def has(self, index: int) -> bool:
        """Tell whether an operand is given."""
        return index < len(self.operands) and self.operands[index] is not None

    def tensor(self, index: int = 0) -> torch.Tensor:
        """Return an operand as a tensor."""
        if not self.has(index):
            raise self.refuse(f"its operand {index} is missing")
        value = self.operands[index]
        if isinstance(value, Constant):
            return self.state(value)
        if isinstance(value, np.ndarray):
            return _as_tensor(value, self.device)
        assert isinstance(value, torch.Tensor)
        return value

    def optional(self, index: int) -> torch.Tensor | None:
        """Return an operand as a tensor, or None where it is left out."""
        return self.tensor(index) if self.has(index) else None

    def tensors(self) -> list[torch.Tensor]:
        """Return all operands, of one type."""
        found = [self.tensor(index) for index in range(len(self.operands))]
        if not found or len({one.dtype for one in found}) > 1:
            raise self.refuse(f"operands of the types {', '.join(str(one.dtype) for one in found) or 'none'}")
        return found

    def constant(self, index: int) -> NDArray[Any]:
        """Return an operand that must be a small constant."""
        value = self.operands[index] if self.has(index) else None
        if not isinstance(value, Constant) or value.values is None:
            raise self.refuse(f"its operand {index} is not constant")
        return value.values

    def numbers(self, index: int) -> Numbers:
        """Return an operand that must be constant, or computed from sizes, as integers."""
        value = self.operands[index] if self.has(index) else None
        found = as_numbers(value)
        if found is None:
            raise self.refuse(f"its operand {index} depends on the values of a picture, or is no list of integers")
        return found

    def integers(self, index: int) -> tuple[int, ...]:
        """Return such an operand as a flat list."""
        return tuple(self.numbers(index).reshape(-1).tolist())

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return an attribute, or what the operator takes where it is left out."""
        return self.node.attributes.get(name, default)

    def axes(self, index: int, before: int) -> tuple[int, ...] | None:
        """Return the axes: an attribute before that version of the operators, an operand from then on."""
        if self.opset < before:
            return self.attribute("axes")  # type: ignore[no-any-return]
        return self.integers(index) if self.has(index) else None

    def axis(self, axis: int, rank: int) -> int:
        """Return an axis counted from the front."""
        if not -rank <= axis < rank:
            raise self.refuse(f"axis {axis} of a value with {rank} axes")
        return axis % rank

    def refuse(self, what: str) -> OnnxRefusedError:
        """Return the refusal of this node."""
        return OnnxRefusedError(self.node.where, what)


Function = Callable[[Call], Any]


@dataclass(frozen=True, slots=True)
class Operator:
    """One line of the table: what computes an operator, the attributes that are read, and its first version."""

    run: Function
    attributes: frozenset[str] = frozenset()
    since: int = 7
    outputs: int = 1
    """Most results that are mapped."""
    on_numbers: Function | None = field(default=None)
    """The same on sizes, where it is needed for them."""


def as_numbers(value: Value | None) -> Numbers | None:
    """Return a value as integers; None for what depends on a picture, is no integer, or is large."""
    if isinstance(value, np.ndarray):
        return value
    if not isinstance(value, Constant) or value.values is None or value.values.dtype.kind not in "ib":
        return None
    return np.array(value.values.tolist(), dtype=object).reshape(value.values.shape)


def array(values: Any) -> Numbers:
    """Return integers, or sizes that are not known yet, as an object array."""
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found


def _as_tensor(numbers: Numbers, device: torch.device) -> torch.Tensor:
    """Return sizes as a tensor of integers."""
    flat = [torch.scalar_tensor(number, dtype=torch.int64, device=device) for number in numbers.reshape(-1).tolist()]
    if not flat:
        return torch.zeros(numbers.shape, dtype=torch.int64, device=device)
    return torch.stack(flat).reshape(numbers.shape)
