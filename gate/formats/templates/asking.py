"""Where a template asks for what a message says, for the date, or for how many there are of something.

Public templates ask for marks that the template itself writes (`</think>`), and for switches that their makers
document (`/no_think`); they compare roles, types and keys with a closed list of words (`known`), and counts with small
numbers. Any other literal that meets what comes of a message is told, wherever it meets it: in a comparison, a test, a
lookup, a method, a filter or arithmetic, except where the type of a tool's parameter is written in short (`types`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from jinja2 import nodes

from gate.formats.templates.bindings import counting_by_steps, handed_on, name_of
from gate.formats.templates.flow import Flow
from gate.formats.templates.known import LOOP, MARKS, STRUCTURE, WORDS, Kind
from gate.formats.templates.own import CHOOSING
from gate.formats.templates.parsing import every
from gate.formats.templates.reading import MANY, Literals, attribute_of
from gate.formats.templates.types import shortened_types

_SMALL: Final = 3
"""The greatest sum of numbers by which a public template asks where in a conversation it is."""
_BLANK: Final = 2
"""The most spaces and ends of lines that a public template looks for."""
_TESTS: Final = frozenset(
    {"string", "defined", "undefined", "none", "mapping", "iterable", "sequence", "number", "integer", "float"}
    | {"boolean", "true", "false"}
)
"""Tests of what kind of value there is, which say nothing of its text."""
_COMPARING: Final = frozenset(
    {"equalto", "eq", "==", "ne", "!=", "in", "sameas", "lt", "gt", "le", "ge", "<", ">", "<=", ">="}
)
_TESTS_OF_STRUCTURE: Final = _TESTS | _COMPARING | {"odd", "even", "divisibleby"}
_ASKING_NOTHING: Final = frozenset(
    {"strip", "lstrip", "rstrip", "splitlines", "lower", "upper", "title", "capitalize", "items", "keys", "values"}
    | {"get", "append", "join", "split", "rsplit", "partition", "rpartition", "replace", "startswith", "endswith"}
    | {"removeprefix", "removesuffix"}
)
"""Methods that ask for nothing but, some of them, for the literals that they are given."""
_GATHERING: Final = frozenset({"append", "get", "items", "join", "keys", "values"})
"""Methods by which something of a message is put beside another."""
_LITERALS_OF_FORM: Final = frozenset({"default", "d", "indent", "tojson", "join", "string"})
"""Filters whose arguments say how something is written."""
_NUMBERING: Final = frozenset({"int", "float", "round", "abs", "sum"})
_CHOOSING: Final = CHOOSING | {"map"}
_COUNTERS: Final = frozenset(f"loop.{key}" for key, kind in LOOP.items() if kind is Kind.COUNT)
_ARITHMETIC: Final = (nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow, nodes.Sub, nodes.Add)


def asked(tree: nodes.Template, flow: Flow) -> Iterator[tuple[nodes.Node, str]]:
    """Yield each expression that asks for the text of a message, and for what, in the words of the template."""
    harmless = shortened_types(tree, flow)
    for node in every(tree, *_ASKERS):
        flow.check()
        if id(node) not in harmless:
            yield from ((node, what) for what in _ASKERS[type(node)](node, flow))
    yield from _keys(tree, flow)


def marked(node: nodes.Node, flow: Flow) -> bool:
    """Tell whether an expression asks the text of a message for a mark of the closed list."""
    for one in every(node, nodes.Compare, nodes.Call, nodes.Filter, nodes.Test):
        parts = [*one.iter_child_nodes(), *([one.node.node] if _is_method(one) else [])]  # type: ignore[attr-defined]
        if any(flow.kind(part) >= Kind.OBJECT for part in parts):
            reached = frozenset[object]().union(*((one.value for one in flow.reaching(part)) for part in parts))
            if MARKS & {str(value).strip() for value in reached}:
                return True
    return False


def _telling(literals: Literals, kind: Kind = Kind.MADE) -> Iterator[str]:
    """Yield the literals that say something of a value of some kind: all but marks, small numbers, truth and blanks."""
    numbers = [one.value for one in literals if not isinstance(one.value, str)]
    texts = [one.value for one in literals if isinstance(one.value, str)]
    if sum(map(abs, numbers)) > _SMALL:
        yield from sorted({"a value of its own making" if value == MANY else str(value) for value in numbers if value})
    if sum(map(len, (text for text in texts if not text.strip(" \n")))) > _BLANK:
        yield from sorted({text for text in texts if text and not text.strip(" \n")})
    harmless = MARKS | WORDS if kind in {Kind.STRUCTURE, Kind.OBJECT} else MARKS
    yield from sorted({text[:120] for text in texts if text.strip(" \n") and text.strip() not in harmless})


def _reaching(flow: Flow, parts: Iterable[nodes.Node | None]) -> Literals:
    return Literals().union(*(flow.reaching(part) for part in parts if part is not None))


def _compared(node: nodes.Compare, flow: Flow) -> Iterator[str]:
    sides = [node.expr, *(operand.expr for operand in node.ops)]
    kinds = [flow.kind(side) for side in sides]
    plain = [side for side, kind in zip(sides, kinds, strict=True) if kind is Kind.PLAIN]
    if (top := max(kinds)) is not Kind.PLAIN:
        against = sides if top is Kind.COUNT or not plain else plain
        what = "a message" if top is Kind.OBJECT else "the text" if top > Kind.OBJECT else top.name.lower()
        yield from (f"it compares {what} with {literal!r}" for literal in _telling(_reaching(flow, against), top))
    if Kind.MADE in kinds and sum(kind >= Kind.RAW for kind in kinds) > 1:
        yield "it compares the text with what it makes of one"
    elif _is_met(kinds):
        yield "it compares the text with something else of a message"


def _is_met(kinds: Sequence[Kind]) -> bool:
    """Tell whether a text meets anything else that comes of messages; two whole messages may be compared."""
    return max(kinds, default=Kind.PLAIN) >= Kind.RAW and sum(kind > Kind.PLAIN for kind in kinds) > 1


def _tested(node: nodes.Test, flow: Flow) -> Iterator[str]:
    given = [*node.args, *node.kwargs]
    kind = max((flow.kind(part) for part in (node.node, *given)), default=Kind.PLAIN)
    if kind is Kind.PLAIN or node.name in _TESTS:
        return
    if kind >= Kind.RAW or node.name not in _TESTS_OF_STRUCTURE:
        yield f"it tests the text by {node.name!r}"
    else:
        counts = [node.node] if kind is Kind.COUNT else []
        yield from (f"it tests for {what!r}" for what in _telling(_reaching(flow, (*given, *counts)), kind))


def _is_method(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr)


def _called(node: nodes.Call, flow: Flow) -> Iterator[str]:
    given = [*node.args, *node.kwargs, *(one for one in (node.dyn_args, node.dyn_kwargs) if one is not None)]
    if not isinstance(node.node, nodes.Getattr):
        if name_of(node.node) == "range" and any(flow.kind(one) > Kind.PLAIN for one in given):
            yield from (f"it counts to {what!r}" for what in _telling(_reaching(flow, given)))
        return
    owner, method = node.node.node, node.node.attr
    kind = flow.kind(owner)
    reads = method == "get" and kind in {Kind.RAW, Kind.OBJECT, Kind.STRUCTURE}
    if kind is not Kind.PLAIN:
        if method not in _ASKING_NOTHING:
            yield f"it asks the text by the method {method!r}"
        asks = _telling(_reaching(flow, given[1:] if reads else given), kind)
        yield from (f"it looks for {what!r} in the text" for what in asks)
        if method not in _GATHERING and _is_met([kind, *map(flow.kind, given)]):
            yield f"it asks the text by {method!r} for something else of a message"
    elif method != "join" and any(flow.kind(one) >= Kind.COUNT for one in given):
        yield from (f"it looks the text up in {what!r}" for what in _telling(flow.reaching(owner)))


def _filtered(node: nodes.Filter, flow: Flow) -> Iterator[str]:
    given = [*node.args, *node.kwargs]
    kind, by = flow.kind_of_filtered(node), max((flow.kind(one) for one in given), default=Kind.PLAIN)
    literals = _reaching(flow, given)
    if node.name in _CHOOSING:
        own = _reaching(flow, [node.node]) if by > Kind.PLAIN and kind is Kind.PLAIN else Literals()
        yield from _chosen(node, max(kind, by), literals | own)
        if node.name != "map" and by > Kind.PLAIN and max(kind, by) >= Kind.RAW:
            yield "it chooses by the text of a message"
    elif node.name in _LITERALS_OF_FORM:
        return
    elif node.name in _NUMBERING and kind >= Kind.OBJECT:
        yield f"it takes the text for a number by {node.name!r}"
    elif kind >= Kind.COUNT:
        yield from (f"it looks for {what!r} in the text" for what in _telling(literals))
    elif by >= Kind.COUNT:
        reached = literals | (_reaching(flow, [node.node]))
        yield from (f"it looks the text up in {what!r}" for what in _telling(reached))
    if node.name not in _CHOOSING | _LITERALS_OF_FORM and _is_met([kind, by]):
        yield f"it applies {node.name!r} to the text by something else of a message"


def _chosen(node: nodes.Filter, kind: Kind, literals: Literals) -> Iterator[str]:
    """Yield by what a filter chooses among messages or words."""
    attribute = attribute_of(node)
    if kind is Kind.PLAIN or (node.name == "map" and len(node.args) == 1 and not node.kwargs):
        return
    by_structure = attribute in STRUCTURE or kind is Kind.STRUCTURE
    said = Literals(one for one in literals if one.value not in {attribute, *_TESTS_OF_STRUCTURE})
    yield from (f"it chooses by {what!r}" for what in _telling(said, Kind.STRUCTURE if by_structure else kind))


def _looked_up(node: nodes.Getitem, flow: Flow) -> Iterator[str]:
    whole, by = flow.kind(node.node), flow.kind(node.arg)
    if by >= Kind.RAW or (by is Kind.OBJECT and whole in {Kind.PLAIN, Kind.MADE}):
        yield "it looks something up by the text"
    elif by is Kind.COUNT and whole is Kind.PLAIN:
        yield "it looks something up by a count"
    if whole is Kind.PLAIN:
        return
    if isinstance(node.arg, nodes.Slice):
        yield from _sliced(node.arg, flow)
    elif not isinstance(node.arg, nodes.Const) or not isinstance(node.arg.value, str):
        numbers = Literals(one for one in flow.reaching(node.arg) if not isinstance(one.value, str))
        yield from (f"it asks for the item {what}" for what in _telling(numbers))


def _sliced(node: nodes.Slice, flow: Flow) -> Iterator[str]:
    """Yield by what a slice tells how much there is: one that leaves something of all that is long enough."""
    from_the_end = isinstance(node.start, nodes.Neg) and node.stop is None
    to_an_end = node.start is None and not isinstance(node.stop, nodes.Neg)
    asking = [*([] if from_the_end else [node.start]), *([] if to_an_end else [node.stop]), node.step]
    if node.start is not None and node.stop is not None and not isinstance(node.stop, nodes.Neg):
        asking.remove(node.stop)  # what begins early, and ends anywhere later
    yield from (f"it counts the text by a slice at {what}" for what in _telling(_reaching(flow, asking)))


def _computed(node: nodes.BinExpr, flow: Flow) -> Iterator[str]:
    top = max(flow.kind(node.left), flow.kind(node.right))
    own = flow.kind(node)
    if isinstance(node, nodes.Add | nodes.Sub) and (own is Kind.COUNT or isinstance(node, nodes.Add)):
        if own is Kind.COUNT:
            yield from (f"it computes with a count by {what!r}" for what in _telling(flow.reaching(node)))
    elif top >= Kind.COUNT and own is not Kind.STRUCTURE:
        yield f"it computes with the text by {node.operator!r}"


def _walked(node: nodes.For | nodes.Macro, flow: Flow) -> Iterator[str]:
    """Yield where a loop hands a value on from turn to turn, or over things of the template's own, which counts."""
    if isinstance(node, nodes.For) and flow.kind(node.iter) is Kind.PLAIN:
        inside = {name_of(one) for one in every(node, nodes.Getattr, nodes.Getitem)}
        yield from (f"it counts by {name!r} what is its own" for name in sorted(inside & _COUNTERS))
        return
    for one in handed_on(node):
        if flow.kind(one.node) in {Kind.PLAIN, Kind.COUNT}:
            yield f"it hands a value on to {name_of(one.target)!r} from turn to turn"
    if counting_by_steps(node):
        yield "it counts turns by values of which each waits for another"


def _keys(tree: nodes.Template, flow: Flow) -> Iterator[tuple[nodes.Node, str]]:
    """Yield where a condition depends on an undocumented key of a message, or anything on one of what is made of it."""
    tests = [one.test for one in every(tree, nodes.If, nodes.CondExpr, nodes.For) if one.test is not None]  # type: ignore[attr-defined]
    tests += every(tree, nodes.Test, nodes.And, nodes.Or, nodes.Not)
    methods = {id(one.node) for one in every(tree, nodes.Call) if isinstance(one, nodes.Call)}
    within = {id(one) for test in tests for one in every(test, nodes.Getattr, nodes.Getitem, nodes.Call)}
    for node in every(tree, nodes.Getattr, nodes.Getitem, nodes.Call):
        owner, key = _read(node)
        if owner is not None and key not in WORDS and id(node) not in methods and not flow.is_namespace(node):
            kind = flow.kind(owner)
            if kind is Kind.MADE or (kind in {Kind.RAW, Kind.OBJECT} and id(node) in within):
                yield node, f"it asks whether a message has the key {key[:80]!r}"


def _read(node: nodes.Node) -> tuple[nodes.Node | None, str]:
    """Return of what a key is read, and which."""
    match node:
        case nodes.Getattr(node=owner, attr=key) | nodes.Getitem(node=owner, arg=nodes.Const(value=str() as key)):
            return owner, key
        case nodes.Call(node=nodes.Getattr(node=owner, attr="get"), args=[nodes.Const(value=str() as key), *_]):
            return owner, key
        case _:
            return None, ""


_Asker = Callable[..., Iterator[str]]
_ASKERS: Final[Mapping[type[nodes.Node], _Asker]] = {
    nodes.Compare: _compared,
    nodes.Test: _tested,
    nodes.Call: _called,
    nodes.Filter: _filtered,
    nodes.Getitem: _looked_up,
    nodes.For: _walked,
    nodes.Macro: _walked,
    **dict.fromkeys(_ARITHMETIC, _computed),
}
