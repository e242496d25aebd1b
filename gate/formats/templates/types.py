"""Where a template writes the type of a tool's parameter in short, the one harmless question about a tool's text.

Public templates that write tools as TypeScript (GPT-OSS) let a macro write the type of a list's items, and put `any[]`
where that is `object | object` or too long for a line. Such a branch is known by all of what it does. It asks for
nothing but what the template's own macros wrote of tools, by words for types or its length. It writes nothing but words
for types and what it asked for. And nothing asks for what it writes: macros that write it are called to be written, and
are neither compared, counted, walked through, caught in a variable nor handed on.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from jinja2 import nodes

from gate.formats.templates.bindings import macros_of, name_of
from gate.formats.templates.flow import Flow
from gate.formats.templates.known import Kind
from gate.formats.templates.parsing import every

_TYPES: Final = re.compile(
    r"(?:\b(?:any|array|boolean|integer|null|number|object|string|undefined|unknown)\b|[\s|?\[\]{}()<>:;,])*"
)
"""Words and signs of which types are written."""
_LENGTHS: Final = frozenset({"gt", "gteq", "lt", "lteq"})
_WRITING: Final = (nodes.Output, nodes.Add, nodes.Concat, nodes.If, nodes.For, nodes.Macro, nodes.Template)
"""What hands a text on to be written, and to nothing else, where it stands in what they do and not in what they ask."""


def shortened_types(tree: nodes.Template, flow: Flow) -> frozenset[int]:
    """Return the ids of the comparisons by which a template writes the type of a tool's parameter in short."""
    branches = [one for one in every(tree, nodes.If) if isinstance(one, nodes.If)]
    asking = {id(one): found for one in branches if _writes_types(one) and (found := _questions(one))}
    names = {_asked(one) for found in asking.values() for one in found}
    if not names or not _is_written_alone(tree, [one for one in branches if id(one) in asking], names):
        return frozenset()
    without = Flow.of(tree, flow.check, of_tools=False)
    if any(without.kinds.get(name, Kind.PLAIN) is not Kind.PLAIN for name in names):
        return frozenset()
    return frozenset(id(one) for found in asking.values() for one in found)


def _writes_types(branch: nodes.If) -> bool:
    """Tell whether a branch writes nothing but words for types and variables as they are, and always something."""
    return not branch.elif_ and all(
        part
        and all(isinstance(one, nodes.Output) and all(_is_type(each) for each in one.nodes) for one in part)
        and any(text.strip() for one in part for text in _texts(one))
        for part in (branch.body, branch.else_)
    )


def _texts(node: nodes.Node) -> Iterator[str]:
    yield from (one.data for one in every(node, nodes.TemplateData) if isinstance(one, nodes.TemplateData))
    yield from (str(one.value) for one in every(node, nodes.Const) if isinstance(one, nodes.Const))


def _is_type(node: nodes.Node) -> bool:
    match node:
        case nodes.TemplateData(data=text) | nodes.Const(value=str() as text):
            return _TYPES.fullmatch(text) is not None
        case nodes.Add() | nodes.Concat():
            return all(_is_type(one) for one in node.iter_child_nodes())
        case _:
            return isinstance(node, nodes.Name)


def _questions(branch: nodes.If) -> Sequence[nodes.Compare]:
    """Return a test's comparisons, if all are about the type or length of the one variable that the branch writes."""
    parts = list(_parts(branch.test))
    found = [one for one in parts if isinstance(one, nodes.Compare) and _is_about_types(one)]
    written = {name_of(one) for part in (*branch.body, *branch.else_) for one in every(part, nodes.Name)}
    return found if len(found) == len(parts) and len(written) == 1 and {_asked(one) for one in found} == written else ()


def _parts(test: nodes.Node) -> Iterator[nodes.Node]:
    match test:
        case nodes.And(left=left, right=right) | nodes.Or(left=left, right=right):
            yield from _parts(left)
            yield from _parts(right)
        case _:
            yield test


def _asked(node: nodes.Compare) -> str:
    """Return the variable whose text or length is compared; empty for anything else."""
    match node.expr:
        case (
            nodes.Name(name=name)
            | nodes.Filter(node=nodes.Name(name=name), name="length" | "count", args=[], kwargs=[])
        ):
            return str(name)
        case _:
            return ""


def _is_about_types(node: nodes.Compare) -> bool:
    """Tell whether one comparison is with a type, or of a length with a number."""
    if len(node.ops) != 1 or not isinstance(node.ops[0].expr, nodes.Const):
        return False
    op, value = node.ops[0].op, node.ops[0].expr.value
    if isinstance(node.expr, nodes.Name):
        return op in {"eq", "ne"} and isinstance(value, str) and bool(value.strip()) and _is_type(node.ops[0].expr)
    return op in _LENGTHS and type(value) is int


def _is_written_alone(tree: nodes.Template, branches: Sequence[nodes.If], names: set[str]) -> bool:
    """Tell whether nothing asks for what these branches write, nor, but for them, for the variables that they ask."""
    above = {id(child): node for node in every(tree, nodes.Node) for child in node.iter_child_nodes()}
    macros, tests = macros_of(tree), {id(one) for branch in branches for one in every(branch.test, nodes.Name)}
    writers = _writers(macros, [_macro_of(branch, above) for branch in branches])
    if not all(_is_written(branch, above) for branch in branches):
        return False
    for node in every(tree, nodes.Name, nodes.NSRef):
        name, parent = name_of(node), above[id(node)]
        if name in names and getattr(node, "ctx", "") != "load":
            if not _is_of_macro(parent, node, macros):
                return False
        elif name in names:
            if id(node) not in tests and not _is_written(node, above):
                return False
        elif name in writers and not _is_called_to_be_written(node, parent, above, names):
            return False
    return True


def _macro_of(node: nodes.Node, above: Mapping[int, nodes.Node]) -> str:
    found = next((one for one in _upwards(node, above) if isinstance(one, nodes.Macro)), None)
    return found.name if found is not None else ""


def _writers(macros: Mapping[str, list[nodes.Macro]], first: Sequence[str]) -> frozenset[str]:
    """Return the macros that write what these do, because they name them, or name one that does."""
    naming: defaultdict[str, set[str]] = defaultdict(set)
    for name, several in macros.items():
        for one in (each for macro in several for each in every(macro, nodes.Name)):
            naming[name_of(one)].add(name)
    waiting, found = {*first} - {""}, set[str]()
    while waiting:
        found.add(at := waiting.pop())
        waiting |= naming[at] - found
    return frozenset(found)


def _upwards(node: nodes.Node, above: Mapping[int, nodes.Node]) -> Iterator[nodes.Node]:
    at: nodes.Node | None = node
    while at is not None:
        yield at
        at = above.get(id(at))


def _is_written(node: nodes.Node, above: Mapping[int, nodes.Node]) -> bool:
    """Tell whether a text is written where it stands, and goes nowhere else."""
    for part, whole in pairwise(_upwards(node, above)):
        asked = (getattr(whole, "test", None), getattr(whole, "iter", None), *getattr(whole, "defaults", ()))
        if not isinstance(whole, _WRITING) or any(part is one for one in asked):
            return False
    return True


def _is_of_macro(assign: nodes.Node, target: nodes.Node, macros: Mapping[str, list[nodes.Macro]]) -> bool:
    return (
        isinstance(assign, nodes.Assign)
        and assign.target is target
        and isinstance(assign.node, nodes.Call)
        and name_of(assign.node.node) in macros
    )


def _is_called_to_be_written(
    name: nodes.Node, call: nodes.Node, above: Mapping[int, nodes.Node], names: set[str]
) -> bool:
    if not isinstance(call, nodes.Call) or call.node is not name:
        return False
    parent = above[id(call)]
    kept = isinstance(parent, nodes.Assign) and isinstance(parent.target, nodes.Name) and parent.target.name in names
    return kept or _is_written(call, above)
