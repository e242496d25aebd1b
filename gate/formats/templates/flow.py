"""Where in a template the text of messages goes: a kind for every expression, and the literals that may reach it.

A variable has one kind in all of the template, the greatest that is ever assigned to it, so that the order of
statements hides nothing. Structure (a message's role, whether it calls tools) is no text; the date counts as text,
since a template that asks for it acts on something that no test of the model varies.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum, auto
from typing import Any, Final

from jinja2 import nodes

from gate.formats.source import UnreadableError
from gate.formats.templates.parsing import every


class Kind(IntEnum):
    """What an expression holds."""

    PLAIN = 0
    """Neither messages nor the date."""
    CONVERSATION = 1
    """A list of messages or of documents."""
    MESSAGE = 2
    CONTENT = 3
    """The text of a message, what is made of it, or the date."""


GIVEN: Final[Mapping[str, Kind]] = {
    "messages": Kind.CONVERSATION,
    "documents": Kind.CONVERSATION,
    "date_string": Kind.CONTENT,
    "strftime_now": Kind.CONTENT,
}
STRUCTURE: Final = frozenset({"role", "type", "tool_calls", "tool_call_id", "name", "id", "function", "tool_responses"})
"""Keys of a message, or of a part of its content, whose values are no text of anybody."""
_COUNTING: Final = frozenset({"length", "count"})
_PICKING: Final = frozenset({"first", "last"})
_TO_TEXT: Final = frozenset({"tojson", "string", "join", "items", "map"})
_MAX_ROUNDS: Final = 100


@dataclass
class Flow:
    """The kinds of a template's variables, and the literals that reach them."""

    kinds: dict[str, Kind] = field(default_factory=lambda: dict(GIVEN))
    literals: dict[str, frozenset[str | int | float]] = field(default_factory=dict)

    @classmethod
    def of(cls, tree: nodes.Template) -> "Flow":
        """Return the flow of a template, by rounds until nothing changes."""
        flow = cls()
        pairs = [*_assigned(tree), *_passed(tree)]
        for _ in range(_MAX_ROUNDS):
            before = (dict(flow.kinds), dict(flow.literals))
            for target, value, how in pairs:
                flow._assign(target, value, how)
            if before == (flow.kinds, flow.literals):
                return flow
        raise UnreadableError(f"variables that depend on each other through more than {_MAX_ROUNDS} steps")

    def _assign(self, target: nodes.Node, value: nodes.Node | None, how: "_Way") -> None:
        if isinstance(target, nodes.Tuple):
            for part in target.items:
                self._assign(part, value, _Way.ITEM if how is _Way.WHOLE else how)
            return
        name = name_of(target)
        if value is None or not name:
            return
        kind = self.kind(value)
        if how is _Way.INSIDE:
            # What is assigned while a text is walked through says how much of it there is.
            self.kinds[name] = max(self.kinds.get(name, Kind.PLAIN), kind if kind is Kind.CONTENT else Kind.PLAIN)
            return
        self.kinds[name] = max(self.kinds.get(name, Kind.PLAIN), _item(kind) if how is _Way.ITEM else kind)
        self.literals[name] = self.literals.get(name, frozenset()) | self.reaching(value)

    def kind(self, node: nodes.Node) -> Kind:
        """Return what an expression holds."""
        known = _KINDS.get(type(node))
        return self._greatest(*node.iter_child_nodes()) if known is None else known(self, node)

    def _of_name(self, node: nodes.Name | nodes.NSRef) -> Kind:
        return self.kinds.get(name_of(node), Kind.PLAIN)

    def _attribute(self, node: nodes.Getattr) -> Kind:
        return self._part(node, node.attr)

    def _item(self, node: nodes.Getitem) -> Kind:
        if isinstance(node.arg, nodes.Slice):
            return self.kind(node.node)
        return self._part(node, node.arg.value if isinstance(node.arg, nodes.Const) else None)

    def _either(self, node: nodes.CondExpr) -> Kind:
        return self._greatest(node.expr1, node.expr2)

    def _gathered(self, node: nodes.List | nodes.Tuple) -> Kind:
        inside = self._greatest(*node.items)
        return Kind.CONVERSATION if inside is Kind.MESSAGE else inside

    def _greatest(self, *parts: nodes.Node | None) -> Kind:
        return max((self.kind(part) for part in parts if part is not None), default=Kind.PLAIN)

    def _part(self, node: nodes.Getattr | nodes.Getitem, key: object) -> Kind:
        """Return the kind of a value's part: by a key, a number, or something that is known only when it runs."""
        named = self.kinds.get(name_of(node))
        whole = self.kind(node.node)
        if named is not None:
            return max(named, Kind.PLAIN)
        if whole is Kind.CONVERSATION:
            return Kind.CONTENT if isinstance(key, str) else Kind.MESSAGE
        if whole is Kind.PLAIN or (isinstance(key, str) and key in STRUCTURE):
            return Kind.PLAIN
        return Kind.CONTENT

    def _called(self, node: nodes.Call) -> Kind:
        if isinstance(node.node, nodes.Getattr):
            whole, method = self.kind(node.node.node), node.node.attr
            if method == "get" and node.args and isinstance(node.args[0], nodes.Const):
                return self._part(nodes.Getitem(node.node.node, node.args[0], "load"), node.args[0].value)
            own = Kind.CONTENT if whole in {Kind.MESSAGE, Kind.CONVERSATION} else whole
            return max(own, self._greatest(*node.args))
        if isinstance(node.node, nodes.Name) and node.node.name == "raise_exception":
            return Kind.PLAIN
        return max(self.kind(node.node), self._greatest(*node.args, *(one.value for one in node.kwargs)))

    def _filtered(self, node: nodes.Filter) -> Kind:
        whole = self.kind(node.node) if node.node is not None else Kind.PLAIN
        if whole is Kind.CONVERSATION:
            if node.name in _COUNTING:
                return Kind.PLAIN
            if node.name in _PICKING:
                return Kind.MESSAGE
            if node.name == "map" and attribute_of(node) in STRUCTURE:
                return Kind.PLAIN
        if whole in {Kind.CONVERSATION, Kind.MESSAGE} and node.name in _TO_TEXT:
            return Kind.CONTENT
        return max(whole, self._greatest(*node.args, *(one.value for one in node.kwargs)))

    def reaching(self, node: nodes.Node) -> frozenset[str | int | float]:
        """Return the literals that may reach an expression, through variables too."""
        if isinstance(node, nodes.Const):
            return frozenset([node.value]) if isinstance(node.value, str | int | float) else frozenset()
        if isinstance(node, nodes.TemplateData):
            return frozenset([node.data])
        own = self.literals.get(name_of(node), frozenset()) if name_of(node) else frozenset()
        asked = isinstance(node, nodes.Getitem | nodes.Getattr | nodes.Name | nodes.Call)
        if asked and self.kind(node) >= Kind.MESSAGE:
            return own  # a key by which a message is asked for says nothing of its text
        return own.union(*(self.reaching(child) for child in node.iter_child_nodes()))


_KINDS: Final[Mapping[type[nodes.Node], Callable[[Flow, Any], Kind]]] = {
    **dict.fromkeys(
        (nodes.Compare, nodes.Test, nodes.Not, nodes.Const, nodes.TemplateData), lambda _flow, _node: Kind.PLAIN
    ),
    **dict.fromkeys((nodes.Name, nodes.NSRef), Flow._of_name),  # noqa: SLF001  # the class's own, beside it
    **dict.fromkeys((nodes.List, nodes.Tuple), Flow._gathered),  # noqa: SLF001
    nodes.Getattr: Flow._attribute,  # noqa: SLF001
    nodes.Getitem: Flow._item,  # noqa: SLF001
    nodes.Call: Flow._called,  # noqa: SLF001
    nodes.Filter: Flow._filtered,  # noqa: SLF001
    nodes.CondExpr: Flow._either,  # noqa: SLF001
}


def name_of(node: nodes.Node) -> str:
    """Return the name of a variable, or of a namespace's attribute as `name.attribute`; empty of anything else."""
    match node:
        case nodes.Name():
            return node.name
        case nodes.NSRef():
            return f"{node.name}.{node.attr}"
        case nodes.Getattr(node=nodes.Name() as owner):
            return f"{owner.name}.{node.attr}"
        case _:
            return ""


def attribute_of(node: nodes.Filter) -> str:
    """Return the attribute that a filter such as `map` or `selectattr` looks at; empty where that is not said."""
    named = [one.value for one in node.kwargs if one.key == "attribute"] or node.args[:1]
    found = named[0] if named else None
    return str(found.value) if isinstance(found, nodes.Const) else ""


def _item(kind: Kind) -> Kind:
    if kind is Kind.CONVERSATION:
        return Kind.MESSAGE
    return Kind.CONTENT if kind is Kind.MESSAGE else kind


class _Way(Enum):
    """How a variable gets something of a value."""

    WHOLE = auto()
    ITEM = auto()
    INSIDE = auto()
    """It is assigned inside a loop over it."""


_Pair = tuple[nodes.Node, nodes.Node | None, _Way]


def _assigned(tree: nodes.Template) -> Iterator[_Pair]:
    """Yield (target, value, how) of every assignment and loop."""
    for node in every(tree, nodes.Assign, nodes.AssignBlock, nodes.For, nodes.With):
        if isinstance(node, nodes.Assign):
            yield node.target, node.node, _Way.WHOLE
            yield from _of_namespace(node)
        elif isinstance(node, nodes.AssignBlock):
            yield from ((node.target, part, _Way.WHOLE) for part in node.body)
        elif isinstance(node, nodes.For):
            yield node.target, node.iter, _Way.ITEM
            inside = every(node, nodes.Assign, nodes.AssignBlock)
            targets = (one.target for one in inside if isinstance(one, nodes.Assign | nodes.AssignBlock))
            yield from ((target, node.iter, _Way.INSIDE) for target in targets)
        elif isinstance(node, nodes.With):
            pairs = zip(node.targets, node.values, strict=False)
            yield from ((one, value, _Way.WHOLE) for one, value in pairs)


def _of_namespace(node: nodes.Assign) -> Iterator[_Pair]:
    """Yield what `namespace(x=…)` gives its attributes."""
    if isinstance(node.node, nodes.Call) and name_of(node.node.node) == "namespace":
        for one in node.node.kwargs:
            yield nodes.NSRef(name_of(node.target), one.key), one.value, _Way.WHOLE


def _passed(tree: nodes.Template) -> Iterator[_Pair]:
    """Yield what the calls of macros give their parameters, and what a macro's body gives its name."""
    macros = {node.name: node for node in every(tree, nodes.Macro) if isinstance(node, nodes.Macro)}
    for macro in macros.values():
        yield from ((nodes.Name(macro.name, "store"), part, _Way.WHOLE) for part in macro.body)
        defaults = zip(macro.args[len(macro.args) - len(macro.defaults) :], macro.defaults, strict=True)
        yield from ((parameter, value, _Way.WHOLE) for parameter, value in defaults)
    for call in every(tree, nodes.Call):
        assert isinstance(call, nodes.Call)
        called = macros.get(name_of(call.node)) if isinstance(call.node, nodes.Name) else None
        if called is None:
            continue
        named = {parameter.name: parameter for parameter in called.args}
        given = zip(called.args, call.args, strict=False)
        yield from ((parameter, value, _Way.WHOLE) for parameter, value in given)
        yield from ((named[one.key], one.value, _Way.WHOLE) for one in call.kwargs if one.key in named)
