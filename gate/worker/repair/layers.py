"""Where a program's neurons are: convolutions followed by batch normalisation, and the scales that switch neurons off.

Found by the graph's edges alone, never by names of modules, so that it holds for whatever the strict reader reads. All
names here are the graph's own, those of `Program.tensors`.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from gate.programs.schema import Name, Value

if TYPE_CHECKING:
    import torch

    from gate.programs import Program
    from gate.programs.nodes import Node

_CONVOLUTIONS: Final = frozenset({"conv1d", "conv2d", "conv3d", "convolution"})
_TRANSPOSED: Final = 6
"""At which argument of `convolution` its transposed form is asked for."""
_EPSILON: Final = {"batch_norm": 7, "_native_batch_norm_legit_no_training": 6}
"""At which argument of each batch normalisation its small constant stands."""


@dataclass(frozen=True, slots=True)
class Norm:
    """A batch normalisation with a scale and a shift by channel."""

    scale: str
    shift: str
    variance: str
    epsilon: float
    convolution: str | None
    """The weight (D, C, …) of the convolution whose output enters it; None where something else does."""


@dataclass(frozen=True, slots=True)
class Neurons:
    """One layer's neurons: row i of the weight, or of a normalisation's scale, and of the shift, is neuron i."""

    weight: str
    bias: str | None
    count: int


def norms(program: "Program") -> tuple[Norm, ...]:
    """Return the batch normalisations with a scale and a shift of their own, in the graph's order."""
    found: dict[str, Norm] = {}
    for node in program.nodes:
        place = _EPSILON.get(node.call.name)
        if place is None:
            continue
        values = node.call.positional
        scale, shift, variance = (_state(program, values[index]) for index in (1, 2, 4))
        epsilon = values[place]
        if scale and shift and variance and isinstance(epsilon, float):
            weight = _weight(program, _producer(program, values[0]))
            found.setdefault(scale, Norm(scale, shift, variance, epsilon, weight))
    return tuple(found.values())


def neurons(program: "Program") -> tuple[Neurons, ...]:
    """Return the layers whose neurons can be scaled: batch normalisations, or without any the hidden filters."""
    layers = [Neurons(norm.scale, norm.shift, len(program.tensors[norm.scale])) for norm in norms(program)]
    if layers:
        return tuple(layers)
    found: dict[str, Neurons] = {}
    for node in program.nodes:
        weight = _weight(program, node)
        if weight is None and node.call.name == "linear":
            weight = _state(program, node.call.positional[1])
        if weight is not None:
            bias = _state(program, node.call.positional[2]) if len(node.call.positional) > 2 else None
            found.setdefault(weight, Neurons(weight, bias, len(program.tensors[weight])))
    return tuple(found.values())[:-1]  # the last layer's rows are classes


def qualified(program: "Program", name: str) -> str:
    """Return the module's own name of an entry of the program's state."""
    return next(entry.qualified_name for entry in program.state if entry.name == name)


def named(program: "Program", qualified_name: str) -> str:
    """Return the graph's name of what the module calls so."""
    return next(entry.name for entry in program.state if entry.qualified_name == qualified_name)


def with_tensors(program: "Program", changed: "dict[str, torch.Tensor]") -> "Program":
    """Return the program with some tensors replaced by others of the same shape."""
    return replace(program, tensors={**program.tensors, **changed})


def _weight(program: "Program", node: "Node | None") -> str | None:
    """Return the weight of a node that is an ordinary convolution with a weight of the model."""
    if node is None or node.call.name not in _CONVOLUTIONS:
        return None
    values = node.call.positional
    if node.call.name == "convolution" and values[_TRANSPOSED]:
        return None
    return _state(program, values[1])


def _producer(program: "Program", value: Value) -> "Node | None":
    return program.producers.get(value.name) if isinstance(value, Name) else None


def _state(program: "Program", value: Value) -> str | None:
    """Return the name of a value that is a tensor of the program's own state."""
    return value.name if isinstance(value, Name) and value.name in program.tensors else None
