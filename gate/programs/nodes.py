"""Records of a graph become nodes whose every name is defined once, before it is used.

In-place operators may write only to values that the graph itself made, never to an input, parameter, buffer or
constant: a model that counts its calls, or changes its weights while it runs, is refused. Where the overwritten
value is not used again, its pure twin replaces the in-place operator: then every intermediate value can be tapped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

from gate.programs import advice
from gate.programs.operators import DIRECT_ALIASES, Call, bind, find_overload, of_the_batch
from gate.programs.overloads import ASSERTIONS, DROPOUTS, OVERLOADS
from gate.programs.refused import RefusedError
from gate.programs.schema import Name, NamedValue, NodeRecord, Output, ProgramRecord, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

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
        """Names of all values that the node uses."""
        values = (*self.call.positional, *(value for _, value in self.call.keywords))
        return tuple(reference for value in values for reference in references(value))

    @property
    def results(self) -> tuple[str, ...]:
        """Names of all values that the node defines."""
        return tuple(name for output in self.outputs if output for name in output.names if name is not None)


def made(name: str, target: str, **values: Value) -> Node:
    """Return a node of the gate's own: one result, an operator of the positive list and its arguments in order."""
    arguments = tuple(NamedValue(key, value, keyword=False) for key, value in values.items())
    return Node(name, target, bind(target, arguments, name), (Output((name,), is_list=False),), name)


class Memory:
    """Groups of values that may share memory; a smaller group is put into a larger one: long chains stay cheap."""

    def __init__(self) -> None:
        self._group: dict[str, list[str]] = {}

    def members(self, name: str) -> list[str]:
        """Return a value and all that may share its memory."""
        return self._group.setdefault(name, [name])

    def join(self, name: str, other: str) -> None:
        """Note that two values may share memory."""
        small, large = sorted((self.members(name), self.members(other)), key=len)
        if small is not large:
            large.extend(small)
            for member in small:
                self._group[member] = large


def references(value: Value) -> Iterator[str]:
    """Yield the names that a value refers to."""
    if isinstance(value, Name):
        yield value.name
    elif isinstance(value, tuple):
        for item in value:
            yield from references(item)


def revalued(node: Node, change: Callable[[Value], Value]) -> Node:
    """Return a node with each of its arguments changed; the node itself where none is."""
    call = node.call
    positional = tuple(map(change, call.positional))
    keywords = tuple((name, change(value)) for name, value in call.keywords)
    if (positional, keywords) == (call.positional, call.keywords):
        return node
    return replace(node, call=replace(call, positional=positional, keywords=keywords))


def substituted(node: Node, values: Mapping[str, Value]) -> Node:
    """Return a node that is given other values in place of some names, in lists too."""

    def change(value: Value) -> Value:
        if isinstance(value, tuple):
            return tuple(map(change, value))
        return values.get(value.name, value) if isinstance(value, Name) else value

    return node if values.keys().isdisjoint(node.operands) else revalued(node, change)


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
    """Refuse batch statistics of values that depend on the input; weights may be standardised by their own.

    Writes in place are not followed here: `independence` proves whether samples leave each other alone.
    """
    for node in nodes:
        if live.isdisjoint(node.operands):
            continue
        live.update(node.results)
        if of_the_batch(node.call):
            message = f"{node.target} in training mode (it normalises by the samples that are asked about together)"
            raise RefusedError(node.where, message, what_to_do=advice.BATCH)


def _bind_node(record: NodeRecord) -> Node:
    call = bind(record.target, record.arguments, record.where)
    names = [name for output in record.outputs if output for name in output.names if name is not None]
    if not names:
        raise RefusedError(record.where, f"{record.target} yields nothing; it could only act on something else")
    return Node(names[0], record.target, call, record.outputs, record.where)


def _make_pure(nodes: list[Node], bound: frozenset[str], outputs: frozenset[str]) -> tuple[Node, ...]:
    """Refuse writes to inputs and state; replace in-place operators by pure ones where the old value is never read."""
    last_use = {name: index for index, node in enumerate(nodes) for name in node.operands}
    last_use.update(dict.fromkeys(outputs, len(nodes)))
    memory = Memory()
    pure: list[Node] = []
    for index, node in enumerate(nodes):
        current = _pure_twin(node) if node.call.name in _UNCHANGED else node
        if current.call.mutated is not None:
            targets = references(current.call.positional[current.call.mutated])
            written = {member for name in targets for member in memory.members(name)}
            if not bound.isdisjoint(written):
                message = f"{node.target} writes to an input, parameter or buffer of the model"
                raise RefusedError(node.where, message, what_to_do=advice.COUNTING)
            if all(last_use.get(member, -1) <= index for member in written):
                current = _pure_twin(node)
        if current.call.returns_alias:
            for name, other in product(current.results, dict.fromkeys(current.operands)):
                memory.join(name, other)
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
