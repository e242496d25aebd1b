"""What gives a template's names their values: assignments, loops, macros, and the blocks of calls and filters."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from enum import Enum, auto
from itertools import chain, islice
from typing import Final, NamedTuple

from jinja2 import nodes

from gate.formats.templates.known import NEIGHBOURS, Kind
from gate.formats.templates.parsing import every, form

ALIASED: Final = "namespaces that have several names"
"""One variable for the attributes of all namespaces that are handed on, so that no second name hides what is set."""
_COPIES: Final = 4
"""Copies between two attributes that are followed."""

_TURNS: Final = nodes.Name("messages", "load")
"""What a loop that cannot be seen is over."""


class Way(Enum):
    """How a variable gets something of a value."""

    WHOLE = auto()
    ITEM = auto()
    KEY = auto()
    VALUE = auto()
    TEXT = auto()
    """What a block writes."""
    TURNS = auto()
    """It is computed, or handed on, at every turn of a loop over the value."""


class Binding(NamedTuple):
    """One way by which a name gets a value."""

    target: nodes.Node
    value: nodes.Node
    way: Way


def bindings(tree: nodes.Template) -> Iterator[Binding]:
    """Yield every way by which a name of a template gets a value."""
    return chain(_assigned(tree), _looped(tree), _passed(tree), _called_back(tree))


def name_of(node: nodes.Node) -> str:
    """Return the name of a variable, or of an attribute of one as `name.attribute`; empty of anything else."""
    match node:
        case nodes.Name():
            return node.name
        case nodes.NSRef():
            return f"{node.name}.{node.attr}"
        case nodes.Getattr(node=nodes.Name() as owner):
            return f"{owner.name}.{node.attr}"
        case nodes.Getitem(node=nodes.Name() as owner, arg=nodes.Const(value=str() as key)):
            return f"{owner.name}.{key}"
        case _:
            return ""


def macros_of(tree: nodes.Template) -> dict[str, list[nodes.Macro]]:
    """Return the macros of a template by name, of which there may be several."""
    found: defaultdict[str, list[nodes.Macro]] = defaultdict(list)
    for macro in every(tree, nodes.Macro):
        assert isinstance(macro, nodes.Macro)
        found[macro.name].append(macro)
    return found


def give_names_of_their_own(tree: nodes.Template) -> None:
    """Rename, in place, the parameters of each macro inside it, and the variables of each loop inside it.

    Elsewhere a variable of their name is another. Loops over the same have the same names, wherever they stand.
    """
    for loop, owner in [(one, _loop_of(one)) for one in every(tree, nodes.For) if isinstance(one, nodes.For)]:
        if next(every(loop, nodes.Block), None) is None:  # which sees the variables of the template, not the loop's
            own = {one.name for one in every(loop.target, nodes.Name) if isinstance(one, nodes.Name)}
            for part in (loop.target, *loop.body, *((loop.test,) if loop.test is not None else ())):
                _rename(part, own, owner)
    for macro in every(tree, nodes.Macro):
        assert isinstance(macro, nodes.Macro)
        _rename(macro, {parameter.name for parameter in macro.args}, macro.name)


def plain_name(name: str) -> str:
    """Return the name that a template itself writes."""
    return name.partition(" of ")[0]


def _loop_of(loop: nodes.For) -> str:
    return f"loop {hashlib.sha256(form(loop.iter).encode(errors='replace')).hexdigest()[:12]}"


def _rename(tree: nodes.Node, own: Collection[str], owner: str) -> None:
    for node in every(tree, nodes.Name, nodes.NSRef):
        assert isinstance(node, nodes.Name | nodes.NSRef)
        if node.name in own:
            node.name = f"{node.name} of {owner}"


def namespaces_alone(tree: nodes.Template) -> frozenset[str]:
    """Return the names that hold nothing but a namespace, of which nothing but attributes is asked for."""
    made: defaultdict[str, int] = defaultdict(int)
    for node in every(tree, nodes.Assign):
        assert isinstance(node, nodes.Assign)
        made[name_of(node.target)] += isinstance(node.target, nodes.Name) and _is_namespace(node.node)
    owners = {id(node.node) for node in every(tree, nodes.Getattr, nodes.Getitem) if name_of(node)}  # type: ignore[attr-defined]
    for node in every(tree, nodes.Name):
        assert isinstance(node, nodes.Name)
        if node.ctx != "load":
            made[node.name] -= 1
        elif id(node) not in owners:
            made[node.name] = -1 << 30
    return frozenset(name for name, count in made.items() if count == 0)


def fed(tree: nodes.Template) -> dict[int, list[nodes.Node]]:
    """Return, by the id of the filter that a block's text enters first, what the block writes."""
    found: dict[int, list[nodes.Node]] = {}
    for block in every(tree, nodes.FilterBlock, nodes.AssignBlock):
        assert isinstance(block, nodes.FilterBlock | nodes.AssignBlock)
        first = block.filter
        while first is not None and isinstance(first.node, nodes.Filter):
            first = first.node
        if first is not None:
            found[id(first)] = block.body
    return found


def _is_namespace(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name == "namespace"


def _assigned(tree: nodes.Template) -> Iterator[Binding]:
    for node in every(tree, nodes.Assign, nodes.AssignBlock, nodes.With):
        if isinstance(node, nodes.Assign):
            yield Binding(node.target, node.node, Way.WHOLE)
            if isinstance(node.node, nodes.Call) and _is_namespace(node.node):
                name = name_of(node.target)
                yield from (Binding(nodes.NSRef(name, one.key), one.value, Way.WHOLE) for one in node.node.kwargs)
        elif isinstance(node, nodes.AssignBlock):
            parts = node.body if node.filter is None else [node.filter]
            yield from (Binding(node.target, part, Way.TEXT) for part in parts)
        elif isinstance(node, nodes.With):
            pairs = zip(node.targets, node.values, strict=True)
            yield from (Binding(target, value, Way.WHOLE) for target, value in pairs)


def _looped(tree: nodes.Template) -> Iterator[Binding]:
    for node in every(tree, nodes.For):
        assert isinstance(node, nodes.For)
        yield from _unpacked(node)
        read = {name_of(one) for one in every(node, nodes.Getattr, nodes.Getitem)}
        yield from (Binding(nodes.Name(name, "store"), node.iter, Way.ITEM) for name in sorted(read & NEIGHBOURS))
        yield from (Binding(one.target, node.iter, Way.TURNS) for one in turned(node))
    for node in every(tree, nodes.Macro, nodes.CallBlock):  # which a loop may call
        yield from (Binding(one.target, _TURNS, Way.TURNS) for one in turned(node))


def turned(loop: nodes.Node) -> Iterator[nodes.Assign | nodes.AssignBlock]:
    """Yield the assignments in a loop that compute a value, or that hand on what the loop itself sets."""
    handing = {id(one) for one in handed_on(loop)}
    for one in every(loop, nodes.Assign, nodes.AssignBlock):
        assert isinstance(one, nodes.Assign | nodes.AssignBlock)
        if isinstance(one, nodes.AssignBlock) or _is_computed(one.node) or id(one) in handing:
            yield one


def handed_on(loop: nodes.Node) -> list[nodes.Assign]:
    """Return the assignments that give one attribute of a namespace the value that another has from an earlier turn."""
    inside = [one for one in every(loop, nodes.Assign) if isinstance(one, nodes.Assign)]
    read = {id(one): {name_of(part) for part in every(one.node, nodes.Name, nodes.Getattr)} for one in inside}
    lasting = {name_of(one.target) for one in inside if isinstance(one.target, nodes.NSRef)}
    for _ in range(_COPIES):  # a variable of one turn may stand between two that last
        lasting |= {name_of(one.target) for one in inside if read[id(one)] & lasting}
    return [
        one for one in inside if isinstance(one.target, nodes.NSRef) and read[id(one)] & lasting - {name_of(one.target)}
    ]


def counting_by_steps(loop: nodes.Node) -> bool:
    """Tell whether a loop sets one attribute where a second holds, that where a third does, and that where a fourth."""
    after: defaultdict[str, set[str]] = defaultdict(set)
    before: defaultdict[str, set[str]] = defaultdict(set)
    for branch in every(loop, nodes.If):
        assert isinstance(branch, nodes.If)
        read = {name_of(one) for one in every(branch.test, nodes.Getattr, nodes.Getitem)}
        targets = {f"{one.name}.{one.attr}" for one in every(branch, nodes.NSRef) if isinstance(one, nodes.NSRef)}
        for name in read - {""}:
            after[name] |= targets - {name}
    for name, targets in after.items():
        for target in targets:
            before[target].add(name)
    steps = ((second, third) for second in before if second in after for third in after[second] if third in after)
    return any(_is_between(before[second] - {third}, after[third], second) for second, third in steps)


def _is_between(firsts: set[str], fourths: set[str], second: str) -> bool:
    """Tell whether a first and a fourth that are two, and not the second, stand around two steps."""
    ends = islice((one for one in fourths if one != second), 2)
    return any(firsts - {end} for end in ends)


def _is_computed(node: nodes.Node) -> bool:
    return isinstance(node, nodes.BinExpr | nodes.Concat | nodes.Call | nodes.Filter | nodes.List)


def _unpacked(loop: nodes.For) -> Iterator[Binding]:
    """Yield what a loop gives its variables; of the pairs of an object, the first is a key."""
    owner: nodes.Node | None
    match loop.iter:
        case nodes.Call(node=nodes.Getattr(node=owner, attr="items"), args=[]):
            pass
        case nodes.Filter(node=nodes.Node() as owner, name="items" | "dictsort", args=[], kwargs=[]):
            pass
        case _:
            owner = None
    match loop.target:
        case nodes.Tuple(items=[key, value]) if owner is not None:
            yield Binding(key, owner, Way.KEY)
            yield Binding(value, owner, Way.VALUE)
        case target:
            yield Binding(target, loop.iter, Way.ITEM)


def _passed(tree: nodes.Template) -> Iterator[Binding]:
    """Yield what the calls of macros give their parameters, and what a macro writes to its name."""
    macros = macros_of(tree)
    for macro in (one for several in macros.values() for one in several):
        yield from (Binding(nodes.Name(macro.name, "store"), part, Way.TEXT) for part in macro.body)
        defaults = zip(macro.args[len(macro.args) - len(macro.defaults) :], macro.defaults, strict=True)
        yield from (Binding(parameter, value, Way.WHOLE) for parameter, value in defaults)
    within = {id(call) for several in macros.values() for macro in several for call in every(macro, nodes.Call)}
    for call in every(tree, nodes.Call):
        assert isinstance(call, nodes.Call)
        for macro in macros.get(name_of(call.node), []):
            own = {parameter.name.split(" ")[0]: parameter for parameter in macro.args}
            for one in _given(call, macro.args, own):
                yield one
                if id(call) in within and _is_computed(one.value):  # a macro that calls itself is a loop
                    yield Binding(one.target, _TURNS, Way.TURNS)


def _given(call: nodes.Call, parameters: list[nodes.Name], named: dict[str, nodes.Name]) -> Iterator[Binding]:
    for parameter, value in zip(parameters, call.args, strict=False):
        yield Binding(parameter, value, Way.WHOLE)
    yield from (Binding(named[one.key], one.value, Way.WHOLE) for one in call.kwargs if one.key in named)
    for many in (call.dyn_args, call.dyn_kwargs):
        if many is not None:
            yield from (Binding(parameter, many, Way.ITEM) for parameter in parameters)


def _called_back(tree: nodes.Template) -> Iterator[Binding]:
    """Yield what blocks of calls write, which macros get from `caller`, and what macros hand to those blocks."""
    blocks = [one for one in every(tree, nodes.CallBlock) if isinstance(one, nodes.CallBlock)]
    for block in blocks:
        yield from (Binding(nodes.Name("caller", "store"), part, Way.TEXT) for part in block.body)
        defaults = zip(block.args[len(block.args) - len(block.defaults) :], block.defaults, strict=True)
        yield from (Binding(parameter, value, Way.WHOLE) for parameter, value in defaults)
    for call in every(tree, nodes.Call):
        assert isinstance(call, nodes.Call)
        if name_of(call.node) == "caller":
            for block in blocks:
                yield from _given(call, block.args, {one.name: one for one in block.args})


def text_of(kind: Kind) -> Kind:
    """Return the kind of a text that is written of something."""
    return Kind.MADE if kind > Kind.STRUCTURE else kind


def _item(kind: Kind) -> Kind:
    return {Kind.RAW: Kind.OBJECT, Kind.OBJECT: Kind.STRUCTURE}.get(kind, kind)


BY_WAY: Final[Mapping[Way, Callable[[Kind], Kind]]] = {
    Way.WHOLE: lambda kind: kind,
    Way.ITEM: _item,
    Way.KEY: lambda kind: Kind.STRUCTURE if kind in {Kind.OBJECT, Kind.RAW} else kind,
    Way.VALUE: lambda kind: Kind.RAW if kind is Kind.OBJECT else kind,
    Way.TEXT: text_of,
    Way.TURNS: lambda kind: Kind.COUNT if kind > Kind.PLAIN else Kind.PLAIN,
}
"""What a name holds, by the way it gets it and the kind of the value."""
