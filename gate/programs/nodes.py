"""Fourth stage of the strict reader: records become nodes whose every name is defined once, before it is used.

In-place operators may write only to values that the graph itself made, never to an input, parameter, buffer or
constant: a model that counts its calls, or changes its weights while it runs, is refused. Where nobody looks at the
overwritten value again, the in-place operator is replaced by its pure twin, so that every intermediate value can be
tapped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gate.programs import advice
from gate.programs.operators import DIRECT_ALIASES, DROPOUTS, Call, bind, find_overload, of_the_batch
from gate.programs.overloads import ASSERTIONS, OVERLOADS
from gate.programs.refused import RefusedError
from gate.programs.schema import Name, NodeRecord, Output, ProgramRecord, Value

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNCHANGED = frozenset(f"{name}_" for name in DROPOUTS)
"""Operators that write in place what is there already: dropout, which `bind` has refused in training mode."""


@dataclass(frozen=True, slots=True)
class Node:
    """One step of a program: a bound call and the names of its results."""

    name: str
    """The first of its results."""
    target: str
    call: Call
    outputs: tuple[Output | None, ...]
    where: str

    @property
    def operands(self) -> tuple[str, ...]:
        """The names of all values that the node uses."""
        values = (*self.call.positional, *(value for _, value in self.call.keywords))
        return tuple(reference for value in values for reference in references(value))

    @property
    def results(self) -> tuple[str, ...]:
        """The names of all values that the node defines."""
        return tuple(name for output in self.outputs if output for name in output.names if name is not None)


def references(value: Value) -> Iterator[str]:
    """Yield the names that a value refers to."""
    if isinstance(value, Name):
        yield value.name
    elif isinstance(value, tuple):
        for item in value:
            yield from references(item)


def build_nodes(record: ProgramRecord) -> tuple[Node, ...]:
    """Bind every node of a program, check its names, and make it pure where that is possible."""
    defined = [tensor.name for tensor in record.inputs] + [tensor.name for tensor in record.state]
    seen = set(defined)
    if len(seen) != len(defined):
        raise RefusedError("graph.inputs", "a name is defined twice")
    nodes: list[Node] = []
    for node_record in record.nodes:
        if node_record.target in ASSERTIONS:
            continue
        node = _bind_node(node_record)
        for name in node.operands:
            if name not in seen:
                raise RefusedError(node.where, f"{name} is used before it is defined")
        for name in node.results:
            if name in seen:
                raise RefusedError(node.where, f"{name} is defined twice")
            seen.add(name)
        nodes.append(node)
    _refuse_batch_statistics(nodes, {tensor.name for tensor in record.inputs})
    for name in record.outputs:
        if name not in seen:
            raise RefusedError("graph.outputs", f"{name} is not defined")
    return _make_pure(nodes, bound=frozenset(defined), outputs=frozenset(record.outputs))


def _refuse_batch_statistics(nodes: list[Node], live: set[str]) -> None:
    """Refuse normalisation of what depends on the input by its own batch; of weights it is how some are standardised.

    What is written in place is not followed here: whether samples leave each other alone is proved elsewhere.
    """
    for node in nodes:
        if live.isdisjoint(node.operands):
            continue
        live.update(node.results)
        if of_the_batch(node.call):
            said = f"{node.target} in training mode (it normalises by the samples that are asked about together)"
            raise RefusedError(node.where, said, what_to_do=advice.BATCH)


def _bind_node(record: NodeRecord) -> Node:
    call = bind(record.target, record.arguments, record.where)
    names = [name for output in record.outputs if output for name in output.names if name is not None]
    if not names:
        raise RefusedError(record.where, f"{record.target} yields nothing; it could only act on something else")
    return Node(names[0], record.target, call, record.outputs, record.where)


class _Memory:
    """Which values may share memory with which, as groups that only ever grow."""

    def __init__(self, bound: frozenset[str], last_use: dict[str, int]) -> None:
        self._group: dict[str, set[str]] = {name: {name} for name in bound}
        self._bound = bound
        self._last_use = last_use

    def define(self, name: str, shared: tuple[str, ...]) -> None:
        """Add a value that may share memory with others."""
        merged = {name}.union(*(self._group[other] for other in shared))
        for member in merged:
            self._group[member] = merged

    def is_bound(self, name: str) -> bool:
        """Whether writing to a value could change an input or the program's state."""
        return not self._bound.isdisjoint(self._group[name])

    def is_read_after(self, name: str, index: int) -> bool:
        """Whether a value, or one that shares its memory, is used after a node."""
        return any(self._last_use.get(member, -1) > index for member in self._group[name])


def _make_pure(nodes: list[Node], bound: frozenset[str], outputs: frozenset[str]) -> tuple[Node, ...]:
    """Refuse writes to inputs and state; replace in-place operators by pure ones where the old value is never read."""
    last_use = {name: index for index, node in enumerate(nodes) for name in node.operands}
    last_use.update(dict.fromkeys(outputs, len(nodes)))
    memory = _Memory(bound, last_use)
    pure: list[Node] = []
    for index, node in enumerate(nodes):
        current = _pure_twin(node) if node.call.name in _UNCHANGED else node
        if current.call.mutated is not None:
            written = tuple(references(current.call.positional[current.call.mutated]))
            if any(memory.is_bound(name) for name in written):
                raise RefusedError(
                    node.where,
                    f"{node.target} writes to an input, parameter or buffer of the model",
                    what_to_do=advice.COUNTING,
                )
            if not any(memory.is_read_after(name, index) for name in written):
                current = _pure_twin(node)
        shared = tuple(dict.fromkeys(current.operands)) if current.call.returns_alias else ()
        for name in current.results:
            memory.define(name, shared)
        pure.append(current)
    return tuple(pure)


def _pure_twin(node: Node) -> Node:
    """Return the node with the operator that makes a new value instead of writing to its argument, if there is one."""
    *prefix, name, overload = node.target.split(".")
    twin = name.removesuffix("_")
    if overload not in OVERLOADS.get(twin, ()):
        return node
    target = ".".join((*prefix, twin, overload))
    function = find_overload(target, node.where)
    returns_alias = twin in DIRECT_ALIASES or any(result.alias_info for result in function._schema.returns)  # noqa: SLF001  # no public name
    call = replace(node.call, name=twin, function=function, mutated=None, returns_alias=returns_alias)
    return replace(node, target=target, call=call)
