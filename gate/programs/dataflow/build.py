"""A program's data flow as a plain `Graph`: names, operators and sizes, for detectors that look at structure.

Sizes come from one run on a black image: the file's claim about shapes is not used, and no sample is needed. Values are
not looked at. Writes in place are followed: a reader of an overwritten tensor reads what was written.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import torch

from gate.programs.dataflow.graph import Graph, Kind, Value
from gate.programs.nodes import Memory, Node
from gate.programs.program import Program
from gate.programs.schema import Name
from gate.records.errors import UnexaminableError

MAX_VALUES: Final = 200_000
"""Most values of a graph, overwritten tensors included."""
_BATCH: Final = 2
_UNKNOWN_SIZE: Final = 32
_CONVOLUTIONS: Final = ("conv1d", "conv2d", "conv3d", "convolution")


def graph_of(program: Program) -> Graph:
    """Return the data flow of a program; one whose sizes cannot be worked out raises `UnexaminableError`."""
    first = program.inputs[0].shape
    batch = (first[0] if first else 1) or _BATCH
    writes = any(node.call.mutated is not None for node in program.nodes)
    builder = _Builder(batch, Memory() if writes else None)
    inputs = tuple(builder.leaf(entry.name, zeros, batch) for entry, zeros in _inputs(program, batch))
    state = tuple(builder.leaf(name, tensor, 1) for name, tensor in program.tensors.items())
    for node, results in _sizes(program, batch):
        builder.add(node, results)
    outputs = tuple(builder.latest[name] for name in program.output_names if name in builder.latest)
    return Graph(inputs, state, tuple(builder.values), outputs)


def _inputs(program: Program, batch: int) -> Iterator[tuple[Any, torch.Tensor]]:
    """Yield each input with zeros of its shape; free sizes are as at the export."""
    for entry in program.inputs:
        sizes = zip(entry.shape, entry.exported_shape, strict=True)
        shape = [size if size is not None else (hint or _UNKNOWN_SIZE) for size, hint in sizes]
        if shape and entry.shape[0] is None:
            shape[0] = batch
        yield entry, torch.zeros(shape, dtype=entry.dtype, device=program.device)


def _sizes(program: Program, batch: int) -> Iterator[tuple[Node, list[tuple[str, Any]]]]:
    """Yield each node with its results for a black image."""
    plan = program.plan
    slots = plan.slots.copy()
    for slot, (_, zeros) in zip(plan.inputs, _inputs(program, batch), strict=True):
        slots[slot] = zeros
    with torch.no_grad():
        for node, stage in zip(program.nodes, plan.stages, strict=True):
            try:
                stage.step(slots)
            except torch.OutOfMemoryError:
                raise
            except Exception as error:
                raise UnexaminableError(
                    f"the sizes in the graph cannot be worked out at {stage.where} ({node.target}): "
                    f"{type(error).__name__}: {str(error)[:200]}"
                ) from error
            yield node, [(name, slots[slot]) for name, slot in stage.results]
            for slot in stage.dead:
                slots[slot] = None


@dataclass
class _Builder:
    """Puts values together while the nodes go by, and keeps who shares memory with whom."""

    batch: int
    memory: Memory | None
    """Groups of values that share memory; None where nothing is written in place."""
    values: list[Value] = field(default_factory=list)
    latest: dict[str, str] = field(default_factory=dict)
    """Name of the value that a reader gets now, by name in the program."""
    _facts: dict[str, tuple[int, Kind]] = field(default_factory=dict)
    _pointwise: set[str] = field(default_factory=set)
    """Names of kernels of one position."""

    def leaf(self, name: str, tensor: torch.Tensor, batch: int) -> Value:
        """Return an input or a part of the state, remembered under its name."""
        self._define(name, tensor, batch)
        if tensor.ndim > 2 and math.prod(tensor.shape[2:]) == 1:
            self._pointwise.add(name)
        return Value(name, "", (), *self._facts[name])

    def add(self, node: Node, results: list[tuple[str, Any]]) -> None:
        """Add what a node yields; numbers that are sizes are no values."""
        names = tuple(dict.fromkeys(name for name in node.operands if name in self.latest))
        operands = tuple(dict.fromkeys(self.latest[name] for name in names))
        pointwise = node.call.name in _CONVOLUTIONS and names[1:2] != () and names[1] in self._pointwise
        written = self._written(node)
        for name, result in results:
            if not isinstance(result, torch.Tensor):
                continue
            self._define(name, result, self.batch)
            self._append(Value(name, node.call.name, operands, *self._facts[name], pointwise))
            if self.memory is not None and (node.call.returns_alias or node.call.mutated is not None):
                for other in names:
                    self.memory.join(name, other)
            for other in written:
                self._overwrite(other, name)

    def _written(self, node: Node) -> tuple[str, ...]:
        """Return the names that share memory with what an operator writes to."""
        if node.call.mutated is None or self.memory is None:
            return ()
        target = node.call.positional[node.call.mutated]
        return tuple(self.memory.members(target.name)) if isinstance(target, Name) else ()

    def _overwrite(self, name: str, by: str) -> None:
        """Let later readers of a name see what was written over it, mixed with what was there."""
        new, old = f"{name}@{by}", self.latest[name]
        self._facts[new] = self._facts[old]
        self._append(Value(new, "written", (old, by), *self._facts[new]))
        self.latest[name] = new

    def _define(self, name: str, tensor: torch.Tensor, batch: int) -> None:
        self._facts[name] = (max(1, math.ceil(tensor.numel() / batch)), _kind(tensor.dtype))
        self.latest[name] = name

    def _append(self, value: Value) -> None:
        if len(self.values) >= MAX_VALUES:
            raise UnexaminableError(f"the graph has more than {MAX_VALUES} values, overwritten ones included")
        self.values.append(value)


def _kind(dtype: torch.dtype) -> Kind:
    if dtype is torch.bool:
        return "bool"
    return "float" if dtype.is_floating_point else "int"
