"""Baked batch sizes made free: a guess that follows two samples through the graph, one reshape at a time.

Where the export wrote down a size, the place that holds the batch is the one at which two samples together give, side
by side, what each gives alone. The result is only a proposal, which `batching` confirms or rejects with other samples.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import torch

from gate.programs.independence_rules import SHAPES
from gate.programs.nodes import Node, references
from gate.programs.numbers import TOLERANCE
from gate.programs.operators import bind
from gate.programs.overloads import RECURRENT
from gate.programs.plan import compile_plan
from gate.programs.program import run_plan
from gate.programs.refused import RefusedError
from gate.programs.schema import Name, NamedValue, Output, Value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gate.programs.program import Program

_BATCH: Final = "gate_batch_size"
_SHAPE_ARGUMENT: Final = {**SHAPES, "broadcast_to": 1}
_FROM_OPERAND: Final = frozenset({"view", "_unsafe_view", "reshape"})
_SAMPLES: Final = 2
_MAX_STEPS_A_NODE: Final = 20
_BLOCKS, _INTERLEAVED, _MISMATCH = 0, 1, 2


def relax_batch(program: Program, samples: torch.Tensor) -> Program | None:
    """Return a program exported for one sample with free sizes in place of baked ones; None where that fails.

    `samples` are two different ones, (2, …).
    """
    source = program.inputs[0]
    if source.shape[:1] != (1,) or len(samples) != _SAMPLES or _BATCH in {source.name, *program.producers}:
        return None
    nodes = _Search(program, samples).nodes()
    if nodes is None or nodes == list(program.nodes):
        return None
    arguments = (NamedValue("self", Name(source.name), keyword=False), NamedValue("dim", 0, keyword=False))
    target = "torch.ops.aten.sym_size.int"
    measure = Node(_BATCH, target, bind(target, arguments, _BATCH), (Output((_BATCH,), is_list=False),), _BATCH)
    return replace(program, nodes=(measure, *nodes))


class _Search:
    """Walks through the nodes with two samples at once, and back to the last choice where they no longer agree."""

    def __init__(self, program: Program, samples: torch.Tensor) -> None:
        self._program = program
        self._alone = [program.run(row.unsqueeze(0))[1] for row in samples]
        self._together: dict[str, Any] = {_BATCH: _SAMPLES, program.inputs[0].name: samples}
        self._first_states = _first_states(program)

    def nodes(self) -> list[Node] | None:
        """Return the nodes with free sizes, or None where no choice of places works within the bound on steps."""
        nodes = self._program.nodes
        chosen: list[Node] = []
        choices = [self._options(nodes[0])]
        for _ in range(_MAX_STEPS_A_NODE * len(nodes)):
            option = next(choices[-1], None)
            if option is None:
                choices.pop()
                if not choices:
                    return None
                chosen.pop()
                continue
            node, values = option
            self._together.update(values)
            chosen.append(node)
            if len(chosen) == len(nodes):
                return chosen
            choices.append(self._options(nodes[len(chosen)]))
        return None

    def _options(self, node: Node) -> Iterator[tuple[Node, dict[str, Any]]]:
        """Yield the forms of a node that give what each sample gives alone, samples in blocks before interleaved."""
        interleaved: list[tuple[Node, dict[str, Any]]] = []
        proposals = _proposals(node, node.name in self._first_states) if node.call.name in _SHAPE_ARGUMENT else [node]
        for proposal in proposals:
            values = self._run(proposal)
            order = max((self._order(name, value) for name, value in values.items()), default=_MISMATCH)
            if order == _BLOCKS:
                yield proposal, values
            elif order == _INTERLEAVED:
                interleaved.append((proposal, values))
        yield from interleaved

    def _run(self, node: Node) -> dict[str, Any]:
        """Return a node's results for both samples; nothing where it does not accept what it is given."""
        tensors = self._program.tensors
        operands = [name for name in dict.fromkeys(node.operands) if name not in tensors]
        state = {name: tensors[name] for name in node.operands if name in tensors}
        plan = compile_plan([node], operands, node.results, state, self._program.device)
        try:
            results = run_plan(plan, tuple(self._together[name] for name in operands))
        except RefusedError:
            return {}
        return dict(zip(node.results, results if len(node.results) > 1 else (results,), strict=True))

    def _order(self, name: str, value: Any) -> int:
        """Return how a value holds what both samples give alone: in blocks, interleaved, or not at all."""
        if not isinstance(value, torch.Tensor):
            return _BLOCKS
        first, second = (taps[name] for taps in self._alone)
        if value.shape == first.shape:
            return _BLOCKS if _equal(value, first) and _equal(value, second) else _MISMATCH
        if value.ndim != first.ndim:
            return _MISMATCH
        larger = [place for place in range(first.ndim) if value.shape[place] != first.shape[place]]
        place = larger[0]
        if len(larger) != 1 or value.shape[place] != _SAMPLES * first.shape[place]:
            return _MISMATCH
        for order, sizes, axis in ((_BLOCKS, (_SAMPLES, -1), place), (_INTERLEAVED, (-1, _SAMPLES), place + 1)):
            apart = value.reshape(*value.shape[:place], *sizes, *value.shape[place + 1 :])
            if _equal(apart.select(axis, 0), first) and _equal(apart.select(axis, 1), second):
                return order
        return _MISMATCH


def _equal(left: torch.Tensor, right: torch.Tensor) -> bool:
    if not left.is_floating_point():
        return torch.equal(left, right)
    scale = float(right.abs().max()) if right.numel() else 0.0
    share = TOLERANCE.get(right.dtype, 1e-4)
    return torch.allclose(left, right, rtol=max(1e-3, share), atol=share * max(scale, 1e-6), equal_nan=True)


def _proposals(node: Node, is_first_state: bool) -> Iterator[Node]:
    """Yield a node as it is or with one of its baked sizes made free, likelier ones first."""
    position = _SHAPE_ARGUMENT[node.call.name]
    shape: Value = node.call.positional[position]
    if not isinstance(shape, tuple) or any(True for _ in references(shape)):
        yield node
        return
    places = range(len(shape))
    sized = [place for place in places if shape[place] == 1]
    for place in sorted(sized, key=lambda place: place != (1 if is_first_state else 0)):
        yield _with(node, position, (*shape[:place], Name(_BATCH), *shape[place + 1 :]))
    if node.call.name in _FROM_OPERAND and -1 not in shape:
        for place in places:
            yield _with(node, position, (*shape[:place], -1, *shape[place + 1 :]))
    yield node


def _with(node: Node, position: int, shape: tuple[Value, ...]) -> Node:
    values = list(node.call.positional)
    values[position] = shape
    return replace(node, call=replace(node.call, positional=tuple(values)))


def _first_states(program: Program) -> frozenset[str]:
    """Return the values that recurrent layers start from, (layers, N, D): their batch is the second size."""
    return frozenset(
        name for node in program.nodes if node.call.name in RECURRENT for name in references(node.call.positional[1])
    )
