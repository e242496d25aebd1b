"""The end of a classifier's graph: where the logits are, and the last linear layer with what enters it.

A walk back from the output through what does not mix classes (softmax, reshaping, averaging over positions). It uses
the graph alone, and holds for linear layers, their decomposed forms and 1×1 convolutions alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gate.programs.overloads import KEEPING, SOFTMAXES, TRANSPOSING
from gate.programs.schema import Name, Value

if TYPE_CHECKING:
    from gate.programs.nodes import Node
    from gate.programs.program import Program

_SIGMOID: Final = "sigmoid"
_RESHAPING: Final = KEEPING | {"reshape_as", "view_as", "type_as"}
_AVERAGING: Final = frozenset(
    {"mean", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "_adaptive_avg_pool2d", "avg_pool2d"}
)
_MAX_STEPS: Final = 64


@dataclass(frozen=True, slots=True)
class FinalLinear:
    """The layer that turns features into class scores."""

    node: str
    """Name of the layer's result, (N, K) or (N, …, K), or (N, K, h, w) for a 1×1 convolution."""
    features: str
    """Name of the penultimate activations, (N, D), (N, …, D) or (N, D, h, w)."""
    weight: str
    """Qualified name of its weight, (K, D), (D, K) before a transpose, or (K, D, 1, 1)."""
    bias: str | None
    num_classes: int
    num_features: int
    rows_are_classes: bool
    """Whether the weight is (K, D, …) as stored, and not (D, K)."""
    convolution: bool
    averaged: bool
    """Whether scores are averaged over positions afterwards; features are then averaged too."""


def logits_name(program: Program) -> str:
    """Return the name of the first output's value before any softmax."""
    logits = name = program.output_names[0]
    for _ in range(_MAX_STEPS):
        node = program.producers.get(name)
        if node is None or node.call.name not in SOFTMAXES | _RESHAPING:
            break
        name = _first(node)
        if node.call.name in SOFTMAXES:
            logits = name
    return logits


def logit_name(program: Program) -> str | None:
    """Return the name of the value before a final sigmoid of one number a sample; None where there is none.

    A sigmoid of several numbers may give different ones the same value; such an end is not skipped.
    """
    name = program.output_names[0]
    for _ in range(_MAX_STEPS):
        node = program.producers.get(name)
        if node is None or node.call.name not in _RESHAPING | {_SIGMOID}:
            return None
        name = _first(node)
        if node.call.name == _SIGMOID:
            return name
    return None


def final_linear(program: Program) -> FinalLinear | None:
    """Describe the last linear layer before the first output, or before a sigmoid of one number; None if none is."""
    found = _linear_before(program, logits_name(program))
    before = logit_name(program) if found is None else None
    if before is None:
        return found
    single = _linear_before(program, before)
    return single if single is not None and single.num_classes == 1 else None


def _linear_before(program: Program, name: str) -> FinalLinear | None:
    averaged = False
    bias: str | None = None
    for _ in range(_MAX_STEPS):
        node = program.producers.get(name)
        if node is None:
            return None
        if node.call.name in _RESHAPING:
            name = _first(node)
        elif node.call.name in _AVERAGING:
            averaged = True
            name = _first(node)
        elif node.call.name == "add" and bias is None and (parts := _sum_with_parameter(program, node)):
            name, bias = parts
        else:
            return _linear(program, node, bias, averaged=averaged)
    return None


def _linear(program: Program, node: Node, bias: str | None, *, averaged: bool) -> FinalLinear | None:
    """Describe a node, if it is a linear layer with a weight of the model."""
    values = (*node.call.positional, None, None, None)
    kind = node.call.name
    if kind == "addmm":
        layer_bias, features, factor = values[:3]
    elif kind in {"linear", "conv2d", "convolution"}:
        features, factor, layer_bias = values[:3]
    elif kind in {"mm", "matmul"}:
        features, factor, layer_bias = *values[:2], None
    else:
        return None
    weight, transposed = parameter_behind(program, factor)
    if weight is None or not isinstance(features, Name):
        return None
    shape = tuple({**program.constants, **program.buffers, **program.parameters}[weight].shape)
    convolution = kind in {"conv2d", "convolution"}
    if (convolution and (len(shape) != 4 or shape[2:] != (1, 1))) or (not convolution and len(shape) != 2):
        return None
    rows_are_classes = transposed != (kind == "linear" or convolution)
    classes, width = (shape[0], shape[1]) if rows_are_classes else (shape[1], shape[0])
    own_bias, _ = parameter_behind(program, layer_bias)
    return FinalLinear(
        node=node.name,
        features=features.name,
        weight=weight,
        bias=own_bias or bias,
        num_classes=classes,
        num_features=width,
        rows_are_classes=rows_are_classes,
        convolution=convolution,
        averaged=averaged,
    )


def _first(node: Node) -> str:
    """Return the value that a one-operand node works on."""
    value = node.call.positional[0]
    return value.name if isinstance(value, Name) else node.name


def _sum_with_parameter(program: Program, node: Node) -> tuple[str, str] | None:
    """Return the other operand and the parameter's name where a node adds a bias vector."""
    left, right = node.call.positional[:2]
    for value, other in ((left, right), (right, left)):
        parameter, _ = parameter_behind(program, value)
        if parameter is not None and isinstance(other, Name):
            return other.name, parameter
    return None


def parameter_behind(program: Program, value: Value) -> tuple[str | None, bool]:
    """Return the qualified name of the state behind a value, and whether it was transposed on the way."""
    transposed = False
    names = {entry.name: entry.qualified_name for entry in program.state}
    for _ in range(_MAX_STEPS):
        if not isinstance(value, Name):
            break
        if value.name in names:
            return names[value.name], transposed
        node = program.producers.get(value.name)
        if node is None or node.call.name not in TRANSPOSING | {"to", "_to_copy", "alias", "detach", "clone"}:
            break
        transposed ^= node.call.name in TRANSPOSING
        value = node.call.positional[0]
    return None, False
