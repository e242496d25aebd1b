"""The literals that may reach an expression, and where a template makes a value of its own without writing it.

A year can be put together of ones, and a word of the letters of `true`: what is computed, joined or turned into text
stands for any value (`MANY`), which no limit on what is written holds.
"""

from collections.abc import Mapping
from typing import Final, Protocol

from jinja2 import nodes

from gate.formats.templates.bindings import name_of
from gate.formats.templates.known import Kind
from gate.formats.templates.parsing import every
from gate.formats.templates.reading import MANY, NONE, Literal, Literals, value_of

CHOOSING: Final = frozenset({"select", "reject", "selectattr", "rejectattr"})
_KEEPING: Final = frozenset({"trim", "default", "d", "lower", "upper", "capitalize", "title", "safe"})
"""Filters that leave of a text what it says."""
_KEEPING_METHODS: Final = frozenset({"strip", "lstrip", "rstrip", "lower", "upper", "capitalize", "title", "get"})
_COMPUTING: Final = (nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow, nodes.Concat)


class Flow(Protocol):
    """What is known of a template's names."""

    literals: dict[str, Literals]
    fed: Mapping[int, list[nodes.Node]]

    def kind(self, node: nodes.Node) -> Kind:
        """Return what an expression, or a block of statements, holds."""
        ...

    def reaching(self, node: nodes.Node) -> Literals:
        """Return the literals that may reach an expression."""
        ...


def literals_of(node: nodes.Node, flow: Flow) -> Literals:
    """Return the literals that may reach an expression, or a block of statements, through its parts and its name."""
    value = value_of(node)
    found = NONE if value is None else Literals([Literal(value, id(node))])
    found |= flow.literals.get(name_of(node), NONE) if name_of(node) else NONE
    parts = [*node.iter_child_nodes(), *flow.fed.get(id(node), ())]
    match node:
        case nodes.Getitem(arg=nodes.Slice()):
            pass
        case nodes.Getattr() | nodes.Getitem() if flow.kind(node.node) > Kind.PLAIN:
            parts = []  # a key or a number by which a part is asked for says nothing of its text
        case nodes.Filter() if node.name in CHOOSING:
            parts = [] if node.node is None else [node.node]  # by what is chosen is asked where it is
        case nodes.Call(node=nodes.Name(name="dict")):
            found |= {Literal(one.key, id(one)) for one in node.kwargs}
        case _:
            pass
    found = found.union(*(flow.reaching(part) for part in parts))
    return found | {Literal(MANY, id(node))} if _makes(node, found, flow) else found


def written(block: nodes.Node, flow: Flow) -> Literals:
    """Return the literals of what a block of statements writes: a number that is written is a text of its own."""
    found = flow.reaching(block)
    if flow.kind(block) is not Kind.PLAIN:
        return found
    parts = [part for one in every(block, nodes.Output) for part in one.iter_child_nodes()]
    return found if all(_is_text(flow.reaching(part)) for part in parts) else found | {Literal(MANY, id(block))}


def _makes(node: nodes.Node, found: Literals, flow: Flow) -> bool:
    """Tell whether an expression that holds nothing of a message makes a value of what it is given."""
    match node:
        case nodes.Filter(node=nodes.Node() as counted, name="length" | "count"):
            return flow.kind(counted) is Kind.PLAIN
        case nodes.Filter():
            makes = node.name not in _KEEPING or not _is_text(found)
        case nodes.Call(node=nodes.Getattr(attr=method)):
            makes = method not in _KEEPING_METHODS or not _is_text(found)
        case _:
            makes = isinstance(node, _COMPUTING)
    return makes and flow.kind(node) is Kind.PLAIN


def _is_text(found: Literals) -> bool:
    """Tell whether a value is one of the texts that reach it: none does where it is made of nothing that is written."""
    return bool(found) and all(isinstance(one.value, str) for one in found)
