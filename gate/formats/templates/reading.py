"""What single nodes of a template say by themselves: literals, and what a filter or a read is about."""

from typing import Final, NamedTuple

from jinja2 import nodes

from gate.formats.templates.known import STRUCTURE, TOKENS


class Literal(NamedTuple):
    """A literal, and which of the template's nodes it is: two equal ones are two."""

    value: str | int | float
    node: int


Literals = frozenset[Literal]
NONE: Final = Literals()
MANY: Final = 1 << 20
"""Stands for a number that a template makes without writing it, as by the length of a list of its own."""


def value_of(node: nodes.Node) -> str | int | float | None:
    """Return what a node is by itself: a literal, a token of the tokenizer's, or one that a comparison answers."""
    match node:
        case nodes.Const(value=str() | int() | float() as value):
            return value
        case nodes.TemplateData(data=text):
            return text
        case nodes.Name(name=name) if name in TOKENS:
            return f"the tokenizer's {name}"
        case nodes.Compare() | nodes.Test() | nodes.Not():
            return True
        case _:
            return None


def attribute_of(node: nodes.Filter) -> str:
    """Return the attribute that a filter such as `map` or `selectattr` looks at; empty where that is not said."""
    first = node.args[:1] if node.name != "map" else []
    named = [one.value for one in node.kwargs if one.key == "attribute"] or first
    found = named[0] if named else None
    return str(found.value) if isinstance(found, nodes.Const) else ""


def is_structural_read(node: nodes.Node | None) -> bool:
    """Tell whether a node reads a key whose value is no text of anybody."""
    key = getattr(node, "attr", None) or getattr(getattr(node, "arg", None), "value", None)
    return isinstance(node, nodes.Getattr | nodes.Getitem) and key in STRUCTURE
