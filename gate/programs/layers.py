"""The convolutions and linear layers of a program, and the ones that two programs of one architecture share.

Two programs have the same architecture if they are one graph: the same operators in the same order with the same
arguments, over state of the same shapes. Names play no part, and no more do the values of the weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gate.programs.head import parameter_behind
from gate.programs.schema import Name, Value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gate.programs.nodes import Node
    from gate.programs.program import Program

_WEIGHT: Final = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "convolution", "linear", "mm", "matmul"), 1), "addmm": 2
}  # fmt: skip
"""Place of the weight among the arguments, by operator."""
_CONVOLUTIONS: Final = frozenset({"conv1d", "conv2d", "conv3d", "convolution"})


@dataclass(frozen=True, slots=True)
class Layer:
    """One convolution or linear layer."""

    node: str
    """Name of its result: the pre-activations, (N, C, …) of a convolution and (N, …, C) of a linear layer."""
    weight: str
    """Qualified name of its weight."""
    axis: int
    """Dimension of the channels in the result."""
    rows_are_channels: bool
    """Whether the weight is (C, …) as stored, and not (D, C)."""


def layers_of(program: Program) -> tuple[Layer, ...]:
    """Return the layers that have a weight of the model, in the order in which they run."""
    found = (_layer(program, node) for node in program.nodes if node.call.name in _WEIGHT)
    return tuple(layer for layer in found if layer is not None)


def _layer(program: Program, node: Node) -> Layer | None:
    place, convolution = _WEIGHT[node.call.name], node.call.name in _CONVOLUTIONS
    if len(node.call.positional) <= place:
        return None
    weight, transposed = parameter_behind(program, node.call.positional[place])
    if weight is None:
        return None
    rows = convolution or transposed != (node.call.name == "linear")
    return Layer(node.name, weight, 1 if convolution else -1, rows)


def difference_in_architecture(one: Program, other: Program) -> str:
    """Return where the graphs of two programs differ, for a sentence; empty where they are one architecture."""
    if len(one.nodes) != len(other.nodes):
        return f"{len(one.nodes)} operators and {len(other.nodes)}"
    steps = zip(_described(one), _described(other), strict=True)
    return next((f"operator {number}: {a[0]} and {b[0]}" for number, (a, b) in enumerate(steps, 1) if a != b), "")


def _described(program: Program) -> Iterator[tuple[Any, ...]]:
    """Yield each operator with its arguments, every value by its number, and state by its shape when first used."""
    state = {entry.name: program.tensors[entry.name] for entry in program.state}
    numbers = {name: number for number, name in enumerate(program.input_names)}

    def told(value: Value) -> Any:
        if isinstance(value, tuple):
            return tuple(map(told, value))
        if not isinstance(value, Name):
            return (type(value).__name__, repr(value))
        known = value.name in numbers
        number = numbers.setdefault(value.name, len(numbers))
        tensor = state.get(value.name)
        return number if known or tensor is None else (number, tuple(tensor.shape), str(tensor.dtype))

    for node in program.nodes:
        call = node.call
        arguments = (tuple(map(told, call.positional)), tuple((name, told(value)) for name, value in call.keywords))
        results = tuple(numbers.setdefault(name, len(numbers)) for name in node.results)
        yield node.target, arguments, results
    yield "the outputs", tuple(numbers.get(name, -1) for name in program.output_names)
