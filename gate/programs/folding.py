"""Values that no sample decides, computed once (masks, tables of positions, casts of weights), and what nobody needs.

Exporters leave the arithmetic of such values in the graph, to be done again in every pass, at times by writing into
them in place. The result computes the same outputs; taps of folded and of dropped values are gone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import torch

from gate.programs.nodes import Memory, Node, references, substituted
from gate.programs.plan import compile_plan
from gate.programs.program import NOWHERE, run_plan, weightless_inputs

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from gate.programs.program import Program

_OF_TYPE: Final = frozenset({"new_zeros", "new_ones", "new_full", "new_empty"})
"""Operators that take nothing of their first operand but its type."""


def folded(program: Program) -> Program:
    """Return the program with constant values in place of their arithmetic, without nodes that no output needs."""
    fixed, rest = _apart(program)
    if _written_over(fixed, rest, program):
        fixed, rest = [], list(program.nodes)
    types = types_of(program) if fixed else {}
    values: dict[str, Any] = dict(program.tensors)
    with torch.no_grad():
        for node in fixed:
            values.update(_computed(node, values, types, program.device))
    kept = needed(rest, program.output_names)
    used = {name for node in kept for name in node.operands} | set(program.output_names)
    constants = {name: values[name] for node in fixed for name in node.results if name in used}
    numbers = {name: value for name, value in constants.items() if not isinstance(value, torch.Tensor)}
    tensors = {**program.tensors, **{name: value for name, value in constants.items() if name not in numbers}}
    return replace(program, nodes=tuple(substituted(node, numbers) for node in kept), tensors=tensors)


def needed(nodes: list[Node] | tuple[Node, ...], outputs: Collection[str]) -> list[Node]:
    """Return the nodes that an output comes from: exporters leave others behind, such as indices of the batch."""
    wanted, found = set(outputs), []
    for node in reversed(nodes):
        if node.call.mutated is not None or not wanted.isdisjoint(node.results):
            wanted.update(node.operands)
            found.append(node)
    return found[::-1]


def _apart(program: Program) -> tuple[list[Node], list[Node]]:
    """Return the nodes that compute constants, and the others."""
    constant = set(program.tensors)
    fixed: list[Node] = []
    rest: list[Node] = []
    for node in program.nodes:
        first = node.call.positional[0] if node.call.positional else None
        typed = set(references(first)) if node.call.name in _OF_TYPE and first is not None else set()
        if constant.issuperset(name for name in node.operands if name not in typed):
            constant.update(node.results)
            fixed.append(node)
        else:
            rest.append(node)
    return fixed, rest


def _written_over(fixed: list[Node], rest: list[Node], program: Program) -> bool:
    """Tell whether the order of constants and others may matter: one writes into memory that the other reads."""
    memory = Memory()
    for node in program.nodes:
        if node.call.returns_alias or node.call.mutated is not None:
            for name in (*node.results, *node.operands):
                memory.join(node.name, name)
    written = {
        member
        for node in program.nodes
        if node.call.mutated is not None
        for target in references(node.call.positional[node.call.mutated])
        for member in memory.members(target)
    }
    made = {name for node in fixed for name in node.results} & written
    last = max((index for index, node in enumerate(program.nodes) if node.call.mutated is not None), default=-1)
    others = {node.name for node in rest}
    return any(
        (node.call.mutated is not None or index < last) and not made.isdisjoint(node.operands)
        for index, node in enumerate(program.nodes)
        if node.name in others and node.call.name not in _OF_TYPE
    )


def types_of(program: Program) -> Mapping[str, torch.dtype]:
    """Return the type of every value, from a run without memory."""
    examples = weightless_inputs(program)
    _, values = program.to(NOWHERE).run(*examples.values())
    known = {**program.tensors, **examples, **values}
    return {name: value.dtype for name, value in known.items()}


def _computed(
    node: Node, values: Mapping[str, Any], types: Mapping[str, torch.dtype], device: torch.device
) -> dict[str, Any]:
    """Return the results of a node that computes constants."""
    operands = tuple(dict.fromkeys(node.operands))
    plan = compile_plan([node], operands, node.results, {}, device)
    given = (values[name] if name in values else torch.empty(0, dtype=types[name], device=device) for name in operands)
    results = run_plan(plan, tuple(given))
    return dict(zip(node.results, results if len(node.results) > 1 else (results,), strict=True))
