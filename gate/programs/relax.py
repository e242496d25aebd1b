"""Baked batch sizes made free: the samples are followed through the graph, and the size that holds them is left open.

Only shapes are computed, for the batch of the export and for three times as many samples, on torch's device without
memory. In a reshape the place of the samples follows from where they lie in its operand; where a first state or a class
token is widened to the batch, the likelier places are tried first. The result is only a proposal: at the size of the
export it is the graph as it was, and for others `independence` and a probe decide (`batching`).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import torch

from gate.programs.independence_rules import RESHAPING, SHAPES, Place, exact
from gate.programs.nodes import Node, made, references
from gate.programs.overloads import RECURRENT
from gate.programs.plan import compile_plan
from gate.programs.program import NOWHERE, run_plan, weightless_inputs
from gate.programs.refused import RefusedError
from gate.programs.schema import Name, Value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gate.programs.program import Program

_BATCH: Final = "gate_batch_size"
_SHAPE_ARGUMENT: Final = {**SHAPES, "broadcast_to": 1}
_FROM_OPERAND: Final = frozenset({"view", "_unsafe_view", "reshape"})
_WIDENING: Final = frozenset({"expand", "broadcast_to"})
_TIMES: Final = 3
_MAX_STEPS_A_NODE: Final = 20
_Step = tuple[Node, dict[str, Any], dict[str, Place]]


def relax_batch(program: Program) -> Program | None:
    """Return a program exported for a fixed number of samples with that size free; None where that fails."""
    sizes = {source.shape[0] if source.shape else None for source in program.inputs}
    size = sizes.pop()
    if sizes or not size or _BATCH in {*program.input_names, *program.producers}:
        return None
    try:
        nodes = _Search(program, size).nodes()
    except RefusedError:
        return None
    if nodes is None or nodes == list(program.nodes):
        return None
    measure = made(_BATCH, "torch.ops.aten.sym_size.int", self=Name(program.input_names[0]), dim=0)
    return replace(program, nodes=(measure, *nodes))


class _Search:
    """Walks through the nodes with three times the samples, and back to the last choice where shapes do not fit."""

    def __init__(self, program: Program, size: int) -> None:
        self._size = size
        self._program = program.to(NOWHERE)
        given, more = (weightless_inputs(program, n) for n in (size, _TIMES * size))
        _, baked = self._program.run(*given.values())
        self._baked = {name: tuple(value.shape) for name, value in (*baked.items(), *given.items())}
        self._values: dict[str, Any] = {_BATCH: _TIMES * size, **more}
        self._places = dict.fromkeys(program.input_names, Place(0, 1))
        self._first_states = _first_states(program)

    def nodes(self) -> list[Node] | None:
        """Return the nodes with free sizes, or None where no choice of places works within the bound on steps."""
        nodes = self._program.nodes
        chosen: list[Node] = []
        choices = [self._options(nodes[0])]
        for _ in range(_MAX_STEPS_A_NODE * len(nodes)):
            step = next(choices[-1], None)
            if step is None:
                choices.pop()
                if not choices:
                    return None
                for name in chosen.pop().results:
                    self._places.pop(name, None)
                continue
            node, values, places = step
            self._values.update(values)
            self._places.update(places)
            chosen.append(node)
            if len(chosen) == len(nodes):
                return chosen
            choices.append(self._options(nodes[len(chosen)]))
        return None

    def _options(self, node: Node) -> Iterator[_Step]:
        """Yield the forms of a node that take more samples, each with its results and their places."""
        for proposal in self._proposals(node) if node.call.name in _SHAPE_ARGUMENT else [node]:
            values = self._run(proposal)
            places = None if values is None else self._placed(proposal, values)
            if values is not None and places is not None:
                yield proposal, values, places

    def _proposals(self, node: Node) -> Iterator[Node]:
        """Yield a node with one of its baked sizes made free, likelier ones first, then as it is."""
        position, operand = _SHAPE_ARGUMENT[node.call.name], node.call.positional[0]
        shape: Value = node.call.positional[position]
        if isinstance(shape, tuple) and not any(True for _ in references(shape)):
            place = self._places.get(operand.name) if isinstance(operand, Name) else None
            if place is None:
                yield from self._widened(node, position, shape)
            elif node.call.name in _FROM_OPERAND:
                yield from self._reshaped(node, place)
            elif node.call.name in _WIDENING:
                axis = place.axis + len(shape) - len(self._baked[operand.name])  # type: ignore[union-attr]
                yield _with(node, position, (*shape[:axis], -1, *shape[axis + 1 :]))
        yield node

    def _widened(self, node: Node, position: int, shape: tuple[Value, ...]) -> Iterator[Node]:
        """Yield what holds no samples yet with each of its sizes that may be their number as that number."""
        places = [place for place, size in enumerate(shape) if size == self._size and type(size) is int]
        if node.name in self._first_states:
            places.sort(key=lambda place: place != 1)
        for place in places:
            yield _with(node, position, (*shape[:place], Name(_BATCH), *shape[place + 1 :]))

    def _reshaped(self, node: Node, place: Place) -> Iterator[Node]:
        """Yield a reshape of samples with the size free that holds them: as many entries lie before and after it."""
        source, result = (self._baked[name] for name in (node.operands[0], node.name))
        before = math.prod(source[: place.axis]) * source[place.axis] // (self._size * place.entries)
        found = []
        for axis, size in enumerate(result):
            each = self._entries(node.operands[0], place, node.name, axis)
            times = exact(size, self._size * each) if each else None
            if times and math.prod(result[:axis]) * times == before:
                found.append((times, axis))
        # With a batch of one there may be several: samples in one block rather than interleaved.
        for _, axis in sorted(found):
            yield _with(node, 1, (*result[:axis], -1, *result[axis + 1 :]))

    def _entries(self, source: str, place: Place, result: str, axis: int) -> int | None:
        """Return how many neighbouring entries of a sample a dimension of a reshaped value has."""
        inner = place.entries * math.prod(self._baked[source][place.axis + 1 :])
        return exact(inner, math.prod(self._baked[result][axis + 1 :]))

    def _run(self, node: Node) -> dict[str, Any] | None:
        """Return a node's results for more samples; None where it does not accept what it is given."""
        tensors = self._program.tensors
        operands = [name for name in dict.fromkeys(node.operands) if name not in tensors]
        state = {name: tensors[name] for name in node.operands if name in tensors}
        plan = compile_plan([node], operands, node.results, state, NOWHERE)
        try:
            results = run_plan(plan, tuple(self._values[name] for name in operands))
        except RefusedError:
            return None
        return dict(zip(node.results, results if len(node.results) > 1 else (results,), strict=True))

    def _placed(self, node: Node, values: dict[str, Any]) -> dict[str, Place] | None:
        """Return where results hold the samples; None where a shape is neither as it was nor three times that."""
        held = next((name for name in node.operands if name in self._places), None)
        found = {}
        for name, value in values.items():
            if not isinstance(value, torch.Tensor):
                continue
            baked = self._baked[name]
            grown = [axis for axis, size in enumerate(value.shape) if baked[axis : axis + 1] != (size,)]
            if value.ndim != len(baked) or len(grown) > 1:
                return None
            if grown:
                (axis,) = grown
                each = self._each(node, held, name, axis)
                if value.shape[axis] != _TIMES * baked[axis] or not each:
                    return None
                found[name] = Place(axis, each)
        return found

    def _each(self, node: Node, held: str | None, result: str, axis: int) -> int | None:
        """Return how many neighbouring entries a sample has along the dimension of a result that grew."""
        if held is None:
            return self._baked[result][axis] // self._size
        if node.call.name in RESHAPING:
            return self._entries(held, self._places[held], result, axis)
        return self._places[held].entries


def _with(node: Node, position: int, shape: tuple[Value, ...]) -> Node:
    values = list(node.call.positional)
    values[position] = shape
    return replace(node, call=replace(node.call, positional=tuple(values)))


def _first_states(program: Program) -> frozenset[str]:
    """Return the values that recurrent layers start from, (layers, N, D): their batch is the second size."""
    return frozenset(
        name for node in program.nodes if node.call.name in RECURRENT for name in references(node.call.positional[1])
    )
