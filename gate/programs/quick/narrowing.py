"""The middle of a program in bfloat16: what a scan spends its time on; both ends stay as they are.

Elementwise arithmetic on the pixels (their normalisation) and everything from the last linear layer on keep float32,
since there eight bits of precision would show. Weights are cast once, not in every pass. Products add up in float32
inside the device's kernels.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from gate.programs.folding import types_of
from gate.programs.independence_rules import ELEMENTWISE
from gate.programs.nodes import made, revalued, substituted
from gate.programs.schema import Name

if TYPE_CHECKING:
    from gate.programs.nodes import Node
    from gate.programs.program import Program
    from gate.programs.schema import Value

NARROW = torch.bfloat16
_TO = "torch.ops.aten.to.dtype"


def narrowed(program: Program, last: str | None) -> Program | None:
    """Return the program with its middle in bfloat16; `last` is the node from which on it is left as it is.

    None where nothing is between, or where it computes in another type than float32.
    """
    if any(tensor.is_floating_point() and tensor.dtype != torch.float32 for tensor in program.tensors.values()):
        return None
    middle = _middle(program, last)
    if not middle:
        return None
    return _cast(program, middle)


def _middle(program: Program, last: str | None) -> set[str]:
    """Return the names of the nodes between the first that is no arithmetic on single pixels and the last layer."""
    first = {program.input_names[0]}
    end = {last} if last is not None else set(program.output_names)
    middle = set()
    for node in program.nodes:
        operands = {name for name in node.operands if name not in program.tensors}
        if node.name in end or not end.isdisjoint(operands):
            end.update(node.results)
        elif operands <= first and node.call.name in ELEMENTWISE:
            first.update(node.results)
        else:
            middle.add(node.name)
    return middle


def _cast(program: Program, middle: set[str]) -> Program:
    """Return the program with a cast wherever a value enters the middle or leaves it."""
    tensors = dict(program.tensors)
    inside = {name for node in program.nodes if node.name in middle for name in node.results}
    casts: dict[str, Name] = {}
    nodes: list[Node] = []
    types = types_of(program)
    for node in program.nodes:
        within, given = node.name in middle, {}
        for name in dict.fromkeys(node.operands):
            floating = types.get(name) is not None and types[name].is_floating_point
            if not floating or within == (name in inside):
                continue
            cast = f"{name}.{'bfloat16' if within else 'float32'}"
            if cast not in casts:
                casts[cast] = Name(cast)
                if name in tensors:
                    tensors[cast] = tensors[name].to(NARROW)
                else:
                    nodes.append(made(cast, _TO, self=Name(name), dtype=NARROW if within else torch.float32))
            given[name] = casts[cast]
        renamed = substituted(node, given)
        nodes.append(revalued(renamed, _narrow) if within else renamed)
    return replace(program, nodes=tuple(nodes), tensors=tensors)


def _narrow(value: Value) -> Value:
    """Return bfloat16 for float32 among a node's arguments."""
    return NARROW if value is torch.float32 else value
