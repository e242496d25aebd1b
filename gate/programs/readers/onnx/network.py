"""An ONNX graph as a module of torch that computes it node by node, with the initializers as parameters and buffers.

Nodes over constants alone are computed once, here. The whole graph is first run without numbers, on torch's device that
has only shapes: what does not fit, or would be too large, is refused there, at its node.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from gate.programs.readers.onnx.calls import Call, Operator, as_numbers
from gate.programs.readers.onnx.graph import Constant
from gate.programs.readers.onnx.refused import OnnxRefusedError
from gate.programs.readers.onnx.sizes import MAX_KNOWN
from gate.programs.readers.onnx.table import OPERATORS
from gate.programs.refused import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gate.programs.readers.onnx.calls import State, Value
    from gate.programs.readers.onnx.graph import OnnxGraph, OnnxNode

_NOWHERE: Final = torch.device("meta")
_MAX_ELEMENTS: Final = 1 << 30
"""Most numbers of one value for the few samples with which a graph is traced."""
_MAX_GROWTH: Final = 2
"""Most numbers that all nodes over constants may make in place of those that the file holds."""
_SMALL: Final = 1 << 20
_RESERVED: Final = frozenset(dir(torch.nn.Module()))
_STATISTICS: Final = {3: "_running_mean", 4: "_running_var"}
"""Operands of a batch normalisation that are no parameters, and how torch's own are named."""
_ON_PIXELS: Final = frozenset({"Add", "Cast", "Clip", "Div", "Identity", "Mul", "Sub", "Transpose"})
_MAX_NAME: Final = 120


class Network(torch.nn.Module):
    """A graph of one input as a module."""

    def __init__(self, graph: OnnxGraph) -> None:
        super().__init__()
        self._graph = _folded(graph)
        self._names: dict[str, str] = {}
        used = _used(self._graph)
        statistics, apart = _statistics(self._graph), _of_the_input(self._graph)
        for name, constant in self._graph.constants.items():
            if name not in used:
                continue
            self._names[name] = own = _identifier(name + statistics.get(name, ""), set(self._names.values()))
            if (
                name in statistics
                or name in apart
                or not constant.tensor.is_floating_point()
                or constant.tensor.numel() < 2
            ):
                self.register_buffer(own, constant.tensor)
            else:
                self.register_parameter(own, torch.nn.Parameter(constant.tensor, requires_grad=False))

    def forward(self, x: torch.Tensor) -> Any:
        """Return the output, or a dict of all by their names in the graph."""
        found = _run(self._graph, x, lambda constant: getattr(self, self._names[constant.name]))
        return next(iter(found.values())) if len(found) == 1 else found


def example(graph: OnnxGraph) -> torch.Tensor:
    """Return zeros (n, …) as the graph takes them; n is 2 where the batch is free."""
    given = graph.inputs[0]
    return torch.zeros([size or 2 for size in given.shape], dtype=given.dtype)


def _run(graph: OnnxGraph, x: torch.Tensor, state: State) -> dict[str, torch.Tensor]:
    """Compute the outputs by name."""
    values: dict[str, Value] = {**graph.constants, graph.inputs[0].name: x}
    for node in graph.nodes:
        operands = tuple(values[name] if name else None for name in node.inputs)
        values.update(_results(node, apply(Call(node, operands, graph.opset, state))))
    found = {}
    for name in graph.outputs:
        value = values[name]
        if not isinstance(value, torch.Tensor):
            raise OnnxRefusedError("graph.output", f"{name[:80]!r} does not depend on the input")
        found[name] = value
    return found


def apply(call: Call) -> Any:
    """Compute a node, on sizes where its operands are sizes."""
    operator = OPERATORS[call.node.operator]
    sizes = any(isinstance(value, np.ndarray) for value in call.operands)
    try:
        if sizes and operator.on_numbers and all(map(_is_list, call.operands)):
            return operator.on_numbers(call)
        return operator.run(call)
    except (RefusedError, torch.OutOfMemoryError):
        raise
    except (RuntimeError, ValueError, TypeError, IndexError, KeyError, NotImplementedError, ZeroDivisionError) as error:
        if isinstance(error, torch._dynamo.exc.UserError):  # noqa: SLF001  # the exporter's own: another size is tried
            raise
        text = " ".join(str(error).split())[:300]
        raise call.refuse(f"it does not go with its operands: {type(error).__name__}: {text}") from error


def _is_list(value: Value | None) -> bool:
    """Tell whether an operand is a list of integers that is no longer than those of sizes."""
    few = not isinstance(value, Constant) or value.tensor.numel() <= MAX_KNOWN
    return few and as_numbers(value) is not None


def _results(node: OnnxNode, results: Any) -> Iterator[tuple[str, Any]]:
    every = results if isinstance(results, tuple) else (results,)
    yield from ((name, value) for name, value in zip(node.outputs, every, strict=False) if name)


def require_mapped(graph: OnnxGraph) -> None:
    """Refuse attributes, results and versions that the table does not have."""
    for node in graph.nodes:
        operator: Operator = OPERATORS[node.operator]
        if odd := sorted(node.attributes.keys() - operator.attributes):
            raise OnnxRefusedError(node.where, f"the attribute {odd[0]!r} is not mapped")
        if graph.opset < operator.since:
            raise OnnxRefusedError(node.where, f"it has no meaning before version {operator.since} of the operators")
        if any(node.outputs[operator.outputs :]) or not any(node.outputs):
            raise OnnxRefusedError(node.where, f"{len(node.outputs)} results; at most {operator.outputs} are mapped")


def _folded(graph: OnnxGraph) -> OnnxGraph:
    """Return the graph with what constants alone decide as constants, as far as these do not grow by it."""
    constants, nodes = dict(graph.constants), []
    room = max(_SMALL, _MAX_GROWTH * sum(constant.tensor.numel() for constant in constants.values()))
    for node in graph.nodes:
        made = _made(graph, node, constants)
        if made is None or made > room:
            nodes.append(node)
            continue
        room -= made
        operands = tuple(constants[name] if name else None for name in node.inputs)
        for name, value in _results(node, apply(Call(node, operands, graph.opset, lambda constant: constant.tensor))):
            found = torch.tensor(value.tolist(), dtype=torch.int64) if isinstance(value, np.ndarray) else value
            constants[name] = Constant.of(name, found.contiguous())
    return replace(graph, nodes=tuple(nodes), constants=constants)


def _made(graph: OnnxGraph, node: OnnxNode, constants: Mapping[str, Constant]) -> int | None:
    """Return how many numbers a node over constants makes, by running it on shapes alone; None for other nodes."""
    if any(name and name not in constants for name in node.inputs):
        return None
    operands = tuple(constants[name] if name else None for name in node.inputs)
    call = Call(node, operands, graph.opset, lambda constant: constant.tensor.to(_NOWHERE), _NOWHERE)
    return sum(value.numel() for _, value in _results(node, apply(call)) if isinstance(value, torch.Tensor))


def _used(graph: OnnxGraph) -> set[str]:
    """Run the graph on shapes alone, bounded value by value, and return the constants that are used as tensors."""
    used: set[str] = set()

    def note(constant: Constant) -> torch.Tensor:
        used.add(constant.name)
        return constant.tensor.to(_NOWHERE)

    values: dict[str, Value] = {**graph.constants, graph.inputs[0].name: example(graph).to(_NOWHERE)}
    for node in graph.nodes:
        operands = tuple(values[name] if name else None for name in node.inputs)
        for name, value in _results(node, apply(Call(node, operands, graph.opset, note, _NOWHERE))):
            if isinstance(value, torch.Tensor) and value.numel() > _MAX_ELEMENTS:
                raise OnnxRefusedError(
                    node.where, f"it makes {value.numel()} numbers; at most {_MAX_ELEMENTS} are read"
                )
            values[name] = value
    return used


def _statistics(graph: OnnxGraph) -> dict[str, str]:
    """Return the running statistics, with the ending of their names."""
    return {
        node.inputs[place]: "" if node.inputs[place].endswith(ending[1:]) else ending
        for node in graph.nodes
        if node.operator == "BatchNormalization"
        for place, ending in _STATISTICS.items()
    }


def _of_the_input(graph: OnnxGraph) -> set[str]:
    """Return the constants by which pixels are scaled before the first layer: they belong to no layer."""
    pixels, found = {graph.inputs[0].name}, set()
    for node in graph.nodes:
        if node.operator in _ON_PIXELS and not pixels.isdisjoint(node.inputs):
            pixels.update(node.outputs)
            found.update(set(node.inputs) - pixels)
    return found


def _identifier(name: str, taken: set[str]) -> str:
    """Return a name in ASCII letters for a parameter, which no other one has."""
    plain = re.sub(r"[^A-Za-z0-9_]", "_", name)[:_MAX_NAME].strip("_") or "tensor"
    plain = f"t_{plain}" if plain[0].isdigit() or plain in _RESERVED else plain
    found, count = plain, 1
    while found in taken:
        count += 1
        found = f"{plain}_{count}"
    return found
