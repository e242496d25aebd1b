"""Baked batch sizes made free: the leading size of a reshape or expansion becomes the size of the input.

A guess, made only so that a probe can confirm or reject it (`batching`); nothing else may use its result unproven.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gate.loading.exported.graph import Node, references
from gate.loading.exported.operators import bind
from gate.loading.exported.schema import Name, NamedValue, Output, Value

if TYPE_CHECKING:
    from gate.loading.exported.program import Program

_BATCH: Final = "gate_batch_size"
_OF_INPUT: Final = frozenset({"view", "_unsafe_view", "reshape"})
_ANYWHERE: Final = frozenset({"expand", "broadcast_to"})
_RECURRENT: Final = frozenset({"lstm", "gru", "rnn_tanh", "rnn_relu"})
_MADE: Final = frozenset({"zeros", "ones", "full"})


def relax_batch(program: Program, size: int) -> Program | None:
    """Return the program with baked leading sizes replaced by the input's; None where there are none."""
    source = program.inputs[0]
    if any(_BATCH in (*node.results, source.name) for node in program.nodes):
        return None
    reached = {source.name}
    first_states = _first_states(program)
    nodes: list[Node] = []
    changed = False
    for node in program.nodes:
        current = node
        from_input = not reached.isdisjoint(node.operands)
        if node.call.name in _ANYWHERE or (node.call.name in _OF_INPUT and from_input):
            current = _with_free_size(node, 1, size)
        elif node.call.name in _MADE:
            current = _with_free_size(node, 0, size, place=1 if node.name in first_states else 0)
        if from_input:
            reached.update(node.results)
        changed |= current is not node
        nodes.append(current)
    if not changed:
        return None
    arguments = (NamedValue("self", Name(source.name), keyword=False), NamedValue("dim", 0, keyword=False))
    target = "torch.ops.aten.sym_size.int"
    measure = Node(_BATCH, target, bind(target, arguments, _BATCH), (Output((_BATCH,), is_list=False),), _BATCH)
    return replace(program, nodes=(measure, *nodes))


def _first_states(program: Program) -> frozenset[str]:
    """Return the values that recurrent layers start from, (layers, N, D): their batch is the second size."""
    return frozenset(
        name for node in program.nodes if node.call.name in _RECURRENT for name in references(node.call.positional[1])
    )


def _with_free_size(node: Node, position: int, size: int, place: int = 0) -> Node:
    """Return the node with the input's size in place of a size equal to the baked one, at one place of its shape."""
    shape: Value = node.call.positional[position] if position < len(node.call.positional) else None
    if not isinstance(shape, tuple) or len(shape) <= place or type(shape[place]) is not int or shape[place] != size:
        return node
    positional = list(node.call.positional)
    positional[position] = (*shape[:place], Name(_BATCH), *shape[place + 1 :])
    return replace(node, call=replace(node.call, positional=tuple(positional)))
