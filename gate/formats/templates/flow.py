"""Where in a template the text of messages goes: a kind for every expression, and the literals that may reach it.

All that comes of messages, documents and tools is text, except a closed list of structural reads (`known`): what is
on no list counts. A variable has one kind in all of the template, the greatest that is ever assigned to it, so that the
order of statements hides nothing. The date counts as text, since no test of the model varies it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from jinja2 import nodes

from gate.formats.source import UnreadableError
from gate.formats.templates.bindings import (
    ALIASED,
    BY_WAY,
    Binding,
    Way,
    bindings,
    fed,
    name_of,
    namespaces_alone,
    text_of,
)
from gate.formats.templates.known import GIVEN, LOOP, NEIGHBOURS, OBJECTS, STRUCTURE, TOOLS, Kind
from gate.formats.templates.own import CHOOSING, literals_of, written
from gate.formats.templates.reading import MANY, NONE, Literal, Literals, attribute_of, is_structural_read

_KEEPING_TEXT: Final = CHOOSING | {"list", "reverse", "default", "d"}
_KEEPING_STRUCTURE: Final = _KEEPING_TEXT | {"trim", "lower", "upper", "capitalize", "title", "string", "first", "last"}
_KEEPING_COUNT: Final = frozenset({"int", "abs", "default", "d", "min", "max", "sum"})
_WRITTEN_OTHERWISE: Final = frozenset({"strip", "lower", "upper", "title", "capitalize"})
_MAX_ROUNDS: Final = 100
_MAX_BINDINGS: Final = 5_000
"""Ways by which names get values; the clean templates of the tests have below 40."""
_MAX_VISITS: Final = 200_000
"""Steps of reading; the clean templates of the tests take below 4,000."""


@dataclass
class Flow:
    """The kinds of a template's variables, and the literals that reach them."""

    alone: frozenset[str]
    """Namespaces without a second name."""
    fed: Mapping[int, list[nodes.Node]]
    check: Callable[[], None]
    """Called now and then; it raises when the time is up."""
    kinds: dict[str, Kind] = field(default_factory=lambda: dict(GIVEN))
    literals: dict[str, Literals] = field(default_factory=dict)
    _known_kinds: dict[int, Kind] = field(default_factory=dict)
    _known_literals: dict[int, Literals] = field(default_factory=dict)
    _visits: int = 0

    @classmethod
    def of(cls, tree: nodes.Template, check: Callable[[], None], *, of_tools: bool = True) -> "Flow":
        """Return the flow of a template whose parts have names of their own, by rounds until nothing changes.

        Without `of_tools`, tools and the turns of loops are nothing: what is plain then comes of nothing else.
        """
        kinds = {name: kind for name, kind in GIVEN.items() if of_tools or name not in TOOLS}
        flow = cls(namespaces_alone(tree), fed(tree), check, kinds)
        found = (one for one in bindings(tree) if of_tools or one.way is not Way.TURNS)
        pairs = [*islice(found, _MAX_BINDINGS + 1)]
        if len(pairs) > _MAX_BINDINGS:
            raise UnreadableError(f"a template that gives values to names in more than {_MAX_BINDINGS} ways")
        for literals in (False, True):  # which literals reach a name depends on its kind
            flow._settle(pairs, literals=literals)
        return flow

    def _settle(self, pairs: list[Binding], *, literals: bool) -> None:
        for _ in range(_MAX_ROUNDS):
            if not sum(self._bind(one, literals=literals) for one in pairs):  # every one is bound
                return
        raise UnreadableError(f"variables that depend on each other through more than {_MAX_ROUNDS} steps")

    def kind(self, node: nodes.Node) -> Kind:
        """Return what an expression, or a block of statements, holds."""
        known = self._known_kinds.get(id(node))
        if known is None:
            self._visit(1)
            known = self._known_kinds[id(node)] = _KINDS.get(type(node), Flow._made)(self, node)
        return known

    def reaching(self, node: nodes.Node) -> Literals:
        """Return the literals that may reach an expression, through variables too."""
        known = self._known_literals.get(id(node))
        if known is None:
            known = self._known_literals[id(node)] = literals_of(node, self)
            self._visit(1 + len(known))
        return known

    def _visit(self, steps: int) -> None:
        before, self._visits = self._visits, self._visits + steps
        if before >> 13 != self._visits >> 13:
            self.check()
        if self._visits > _MAX_VISITS:
            raise UnreadableError(f"a template that takes more than {_MAX_VISITS} steps to read")

    def _bind(self, one: Binding, *, literals: bool) -> bool:
        """Add what one binding gives to its names; tell whether anything changed."""
        if isinstance(one.target, nodes.Tuple):
            way = Way.ITEM if one.way is Way.WHOLE else one.way
            parts = [Binding(part, one.value, way) for part in one.target.items]
            return sum(self._bind(part, literals=literals) for part in parts) > 0
        self._visit(1)
        kind = BY_WAY[one.way](self.kind(one.value))
        none = not literals or (one.way is Way.TURNS and kind is not Kind.PLAIN)
        reached = NONE if none else self._reached(one)
        changed = [self._raise(name, kind, reached) for name in self._names(one.target)]
        if any(changed):
            self._known_kinds.clear()
            self._known_literals.clear()
        return any(changed)

    def _reached(self, one: Binding) -> Literals:
        if one.way is Way.TURNS:
            return Literals([Literal(MANY, id(one.value))])
        return written(one.value, self) if one.way is Way.TEXT else self.reaching(one.value)

    def _names(self, target: nodes.Node) -> Iterator[str]:
        yield name_of(target)
        if isinstance(target, nodes.NSRef) and target.name not in self.alone:
            yield from (target.name, ALIASED)

    def _raise(self, name: str, kind: Kind, reached: Literals) -> bool:
        kinds, literals = self.kinds.get(name, Kind.PLAIN), self.literals.get(name, NONE)
        self.kinds[name], self.literals[name] = max(kinds, kind), literals | reached
        return bool(name) and (kind > kinds or not reached <= literals)

    def _made(self, node: nodes.Node) -> Kind:
        """Return the kind of what no rule is about: all that holds more than structure is text."""
        inside = self._greatest(*node.iter_child_nodes())
        return Kind.MADE if inside > Kind.STRUCTURE else inside

    def _greatest(self, *parts: nodes.Node | None) -> Kind:
        return max((self.kind(part) for part in parts if part is not None), default=Kind.PLAIN)

    def _of_bounds(self, node: nodes.Slice) -> Kind:
        return self._greatest(node.start, node.stop, node.step)

    def _of_name(self, node: nodes.Name) -> Kind:
        return self.kinds.get(node.name, Kind.PLAIN)

    def _of_condition(self, node: nodes.CondExpr) -> Kind:
        return self._greatest(node.expr1, node.expr2)

    def _of_either(self, node: nodes.And | nodes.Or) -> Kind:
        return self._greatest(node.left, node.right)

    def _of_list(self, node: nodes.List | nodes.Tuple) -> Kind:
        inside = self._greatest(*node.items)
        return Kind.RAW if inside is Kind.OBJECT else self._made(node)

    def _of_dict(self, node: nodes.Dict) -> Kind:
        """Return that it is an object like those that are given, where its structure is no text."""
        for pair in node.items:
            structural = not isinstance(pair.key, nodes.Const) or pair.key.value in STRUCTURE
            if self.kind(pair.key) > Kind.PLAIN or self.kind(pair.value) > (Kind.STRUCTURE if structural else Kind.RAW):
                return Kind.MADE
        return Kind.OBJECT if self._greatest(*node.items) > Kind.PLAIN else Kind.PLAIN

    def _of_sum(self, node: nodes.Add | nodes.Sub) -> Kind:
        left, right = sides = (self.kind(node.left), self.kind(node.right))
        if max(sides) is Kind.COUNT and Kind.STRUCTURE not in sides:
            return Kind.COUNT
        lists = any(isinstance(one, nodes.List) for one in (node.left, node.right))
        if lists and {left, right} <= {Kind.PLAIN, Kind.COUNT, Kind.RAW}:
            return max(sides)  # messages with one more in front, or a list of them that grows from turn to turn
        return self._made(node)

    def _of_remainder(self, node: nodes.Mod) -> Kind:
        if self.kind(node.left) is Kind.COUNT and isinstance(node.right, nodes.Const) and node.right.value == 2:
            return Kind.STRUCTURE  # whose turn it is
        return self._made(node)

    def _of_attribute(self, node: nodes.Getattr) -> Kind:
        return self._part(node, node.node, node.attr)

    def _of_item(self, node: nodes.Getitem) -> Kind:
        if isinstance(node.arg, nodes.Slice):
            return max(self.kind(node.node), Kind.MADE if self.kind(node.arg) > Kind.COUNT else Kind.PLAIN)
        key = node.arg.node if isinstance(node.arg, nodes.Neg) else node.arg
        if isinstance(key, nodes.Const):
            return self._part(node, node.node, key.value)
        whole, by = self.kind(node.node), self.kind(node.arg)
        if by > Kind.COUNT or whole in {Kind.PLAIN, Kind.MADE}:
            return max(whole, Kind.MADE if by > Kind.STRUCTURE else by)
        return Kind.OBJECT if whole is Kind.RAW and by is Kind.COUNT else Kind.RAW

    def _part(self, node: nodes.Node, owner: nodes.Node, key: object) -> Kind:
        """Return the kind of a part of a value, by its key or number."""
        named = self.kinds.get(name_of(node), Kind.PLAIN)
        if isinstance(owner, nodes.Name):
            if owner.name in self.alone or name_of(node) in NEIGHBOURS:
                return named
            if owner.name == "loop":
                return LOOP.get(str(key), Kind.MADE)
        whole = self.kind(owner) or self.kinds.get(ALIASED, Kind.PLAIN)
        if whole < Kind.OBJECT:
            part = Kind.PLAIN if whole is Kind.PLAIN else Kind.MADE
        elif whole is Kind.MADE:
            part = Kind.MADE
        elif isinstance(key, str):
            part = Kind.STRUCTURE if key in STRUCTURE else Kind.OBJECT if key in OBJECTS else Kind.RAW
        else:
            part = Kind.OBJECT if whole is Kind.RAW else Kind.RAW
        return max(named, part)

    def _of_call(self, node: nodes.Call) -> Kind:
        if isinstance(node.node, nodes.Getattr):
            return self._of_method(node, node.node)
        called = name_of(node.node)
        if called == "raise_exception":
            return Kind.PLAIN
        inside = self._greatest(*node.iter_child_nodes())
        if called == "range" and inside is Kind.COUNT:
            return Kind.COUNT
        return inside if inside < Kind.COUNT else Kind.MADE

    def _of_method(self, node: nodes.Call, method: nodes.Getattr) -> Kind:
        whole, given = self.kind(method.node), self._greatest(*node.args, *node.kwargs, node.dyn_args, node.dyn_kwargs)
        if method.attr == "get" and node.args and isinstance(node.args[0], nodes.Const) and given is Kind.PLAIN:
            return self._part(node, method.node, node.args[0].value)
        if method.attr == "keys" and whole is Kind.OBJECT:
            return Kind.OBJECT
        if whole is Kind.STRUCTURE and method.attr in _WRITTEN_OTHERWISE and not node.args:
            return Kind.STRUCTURE
        return Kind.MADE if max(whole, given) > Kind.PLAIN else Kind.PLAIN

    def _of_filter(self, node: nodes.Filter) -> Kind:
        whole, given = self.kind_of_filtered(node), self._greatest(*node.args, *node.kwargs)
        if node.name in {"length", "count"} and given is Kind.PLAIN:
            return Kind.PLAIN if whole is Kind.PLAIN or is_structural_read(node.node) else Kind.COUNT
        if whole in {Kind.RAW, Kind.OBJECT} and given is Kind.PLAIN:
            if node.name in {"first", "last"}:
                return Kind.OBJECT if whole is Kind.RAW else Kind.RAW
            if node.name == "map" and attribute_of(node) in STRUCTURE and not node.args:
                return Kind.STRUCTURE
        keeping = {Kind.COUNT: _KEEPING_COUNT, Kind.STRUCTURE: _KEEPING_STRUCTURE}.get(whole, _KEEPING_TEXT)
        if node.name in keeping and given <= (whole if node.name in {"default", "d"} else Kind.PLAIN):
            return whole
        return Kind.MADE if max(whole, given) > Kind.PLAIN else Kind.PLAIN

    def is_namespace(self, node: nodes.Node) -> bool:
        """Tell whether a node is an attribute that the template itself gave to a namespace, or that a loop has."""
        name = name_of(node)
        return (
            name in self.kinds
            or name in NEIGHBOURS
            or name.removeprefix("loop.") in LOOP
            or name.split(".")[0] in self.alone
        )

    def kind_of_filtered(self, node: nodes.Filter) -> Kind:
        """Return the kind of what enters a filter: an expression, or what the filter's block writes."""
        if node.node is not None:
            return self.kind(node.node)
        return text_of(self._greatest(*self.fed.get(id(node), ())))


_PLAIN: Final = (nodes.Compare, nodes.Test, nodes.Not, nodes.Const, nodes.TemplateData)
_KINDS: Final[Mapping[type[nodes.Node], Callable[[Flow, Any], Kind]]] = {
    **dict.fromkeys(_PLAIN, lambda _flow, _node: Kind.PLAIN),
    **dict.fromkeys((nodes.List, nodes.Tuple), Flow._of_list),  # noqa: SLF001  # the class's own, beside it
    **dict.fromkeys((nodes.Add, nodes.Sub), Flow._of_sum),  # noqa: SLF001
    **dict.fromkeys((nodes.Neg, nodes.Pos), lambda flow, node: flow.kind(node.node)),
    **dict.fromkeys((nodes.And, nodes.Or), Flow._of_either),  # noqa: SLF001
    nodes.Slice: Flow._of_bounds,  # noqa: SLF001
    nodes.Name: Flow._of_name,  # noqa: SLF001
    nodes.CondExpr: Flow._of_condition,  # noqa: SLF001
    nodes.Dict: Flow._of_dict,  # noqa: SLF001
    nodes.Mod: Flow._of_remainder,  # noqa: SLF001
    nodes.Getattr: Flow._of_attribute,  # noqa: SLF001
    nodes.Getitem: Flow._of_item,  # noqa: SLF001
    nodes.Call: Flow._of_call,  # noqa: SLF001
    nodes.Filter: Flow._of_filter,  # noqa: SLF001
}
