"""Where a template asks for what a message says, or for the date, and by which literal.

Public templates ask for marks that the template itself writes (`</think>`), and for switches that their makers
document (`/no_think`). These are a closed list. Any other literal that meets the text of a message is told, wherever it
meets it: in a comparison, a test, a lookup, a method, a filter or arithmetic.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from jinja2 import nodes

from gate.formats.templates.flow import STRUCTURE, Flow, Kind, attribute_of
from gate.formats.templates.parsing import every

MARKS: Final = frozenset(
    {
        "<think>", "</think>", "[THINK]", "[/THINK]", "<|channel|>analysis<|message|>", "<|channel|>final<|message|>",
        "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<tool_calls>", "</tool_calls>",
        "<<SYS>>", "<</SYS>>", "<|end_of_thought|>", "<|begin_of_thought|>", "/think", "/no_think", "/system_override",
    }
)  # fmt: skip
"""Marks and switches of public templates, each as its maker documents it."""
_WORDY: Final = re.compile(r"[^\W_]")
_TESTS: Final = frozenset(
    {"string", "defined", "undefined", "none", "mapping", "iterable", "sequence", "number", "boolean", "true", "false"}
)
"""Tests of what kind of value there is, which say nothing of its text."""
_ASKING_NOTHING: Final = frozenset(
    {"strip", "lstrip", "rstrip", "splitlines", "lower", "upper", "title", "capitalize", "items", "keys", "values"}
    | {"get", "append", "join", "split", "rsplit", "partition", "rpartition", "replace", "startswith", "endswith"}
    | {"removeprefix", "removesuffix"}
)
"""Methods that ask for nothing but, some of them, for the literals that they are given."""
_LITERALS_OF_FORM: Final = frozenset({"default", "d", "indent", "tojson", "map", "join", "string", "trim", "batch"})
"""Filters whose arguments say how something is written."""
_NAMED_TESTS: Final = _TESTS | {"equalto", "eq", "ne", "in", "sameas", "lt", "gt", "le", "ge"}
_CHOOSING: Final = frozenset({"select", "reject", "selectattr", "rejectattr"})
_ARITHMETIC: Final = (nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow, nodes.Sub)


def asked(tree: nodes.Template, flow: Flow) -> Iterator[tuple[nodes.Node, str]]:
    """Yield each expression that asks for the text of a message, and for what, in the words of the template."""
    for node in every(tree, *_ASKERS):
        yield from ((node, what) for what in _ASKERS[type(node)](node, flow))


def marked(node: nodes.Node, flow: Flow) -> bool:
    """Tell whether an expression asks the text of a message for a mark of the closed list."""
    for one in every(node, nodes.Compare, nodes.Call):
        content = any(flow.kind(child) is Kind.CONTENT for child in one.iter_child_nodes())
        receiver = isinstance(one, nodes.Call) and isinstance(one.node, nodes.Getattr)
        if (content or receiver) and MARKS & flow.reaching(one):
            return True
    return False


def _telling(values: frozenset[str | int | float]) -> Iterator[str]:
    """Yield the literals that say something of a text: words and numbers, except marks, zero and truth."""
    for value in sorted(values, key=str):
        if isinstance(value, bool) or (isinstance(value, int | float) and value in (0, 1, -1)):
            continue
        text = str(value)
        if text.strip() not in MARKS and _WORDY.search(text):
            yield text[:120]


def _compared(node: nodes.Compare, flow: Flow) -> Iterator[str]:
    sides = [node.expr, *(operand.expr for operand in node.ops)]
    kinds = [flow.kind(side) for side in sides]
    if Kind.CONTENT in kinds:
        alone = all(kind is Kind.CONTENT for kind in kinds)
        against = [side for side, kind in zip(sides, kinds, strict=True) if alone or kind is not Kind.CONTENT]
        for side in against:
            yield from (f"it compares the text with {what!r}" for what in _telling(flow.reaching(side)))
    elif max(kinds) >= Kind.CONVERSATION and not {operand.op for operand in node.ops} <= {"in", "notin"}:
        for side in (one for one, kind in zip(sides, kinds, strict=True) if kind is Kind.PLAIN):
            yield from (f"it compares a message with {what!r}" for what in _telling(flow.reaching(side)))


def _tested(node: nodes.Test, flow: Flow) -> Iterator[str]:
    if flow.kind(node.node) is Kind.CONTENT and node.name not in _TESTS:
        yield f"it tests the text by {node.name!r}"


def _called(node: nodes.Call, flow: Flow) -> Iterator[str]:
    if not isinstance(node.node, nodes.Getattr):
        return
    owner, method = node.node.node, node.node.attr
    given = [*node.args, *(one.value for one in node.kwargs)]
    if flow.kind(owner) is Kind.CONTENT:
        if method not in _ASKING_NOTHING:
            yield f"it asks the text by the method {method!r}"
        for one in given:
            yield from (f"it looks for {what!r} in the text" for what in _telling(flow.reaching(one)))
    elif method != "join" and any(flow.kind(one) is Kind.CONTENT for one in given):
        yield from (f"it looks the text up in {what!r}" for what in _telling(flow.reaching(owner)))


def _filtered(node: nodes.Filter, flow: Flow) -> Iterator[str]:
    kind = flow.kind(node.node) if node.node is not None else Kind.PLAIN
    literals = frozenset[str | int | float]().union(
        *(flow.reaching(one) for one in (*node.args, *(one.value for one in node.kwargs)))
    )
    if node.name in _CHOOSING or node.name == "map":
        of_structure = kind is not Kind.CONTENT and attribute_of(node) in STRUCTURE
        if kind > Kind.PLAIN and not of_structure and not (node.name == "map" and len(node.args) < 2):
            yield from (f"it chooses by {what!r}" for what in _telling(literals - {attribute_of(node)} - _NAMED_TESTS))
    elif kind is Kind.CONTENT and node.name not in _LITERALS_OF_FORM:
        yield from (f"it looks for {what!r} in the text" for what in _telling(literals))


def _walked(node: nodes.For, flow: Flow) -> Iterator[str]:
    """Yield where a loop over a text asks how far it has come, which says how long the text is."""
    if flow.kind(node.iter) is not Kind.CONTENT:
        return
    for compared in every(node, nodes.Compare):
        inside = [one.name for one in every(compared, nodes.Name) if isinstance(one, nodes.Name)]
        yield from (f"it counts the text to {what!r}" for what in _telling(flow.reaching(compared)) if "loop" in inside)


def _looked_up(node: nodes.Getitem, flow: Flow) -> Iterator[str]:
    by = [node.arg.start, node.arg.stop, node.arg.step] if isinstance(node.arg, nodes.Slice) else [node.arg]
    if any(one is not None and flow.kind(one) is Kind.CONTENT for one in by):
        yield "it looks something up by the text"


def _computed(node: nodes.BinExpr, flow: Flow) -> Iterator[str]:
    if Kind.CONTENT in (flow.kind(node.left), flow.kind(node.right)):
        yield f"it computes with the text by {node.operator!r}"


_Asker = Callable[..., Iterator[str]]
_ASKERS: Final[Mapping[type[nodes.Node], _Asker]] = {
    nodes.Compare: _compared,
    nodes.Test: _tested,
    nodes.Call: _called,
    nodes.Filter: _filtered,
    nodes.For: _walked,
    nodes.Getitem: _looked_up,
    **dict.fromkeys(_ARITHMETIC, _computed),
}
