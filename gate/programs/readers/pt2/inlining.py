"""Regions made part of their graph: blocks without gradients, or with autocast switched off, run the same in line.

The exporter puts a block under `torch.no_grad()` or `torch.autocast(…, enabled=False)`, as transformers of rotary
positions have, into a graph of its own. Both leave values as they are. Names of the inner graph are renamed, for each
to be defined once; a name that it does not define is refused, even if the outer graph has it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from gate.programs import advice
from gate.programs.readers.pt2.cursor import Cursor
from gate.programs.schema import MAX_NODES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_GRAPH: Final = (
    ("inputs", "outputs", "nodes", "tensor_values"),
    ("sym_int_values", "sym_bool_values", "sym_float_values", "is_single_tensor_return", "custom_obj_values"),
)
"""Required and optional keys of a graph."""
NODE: Final = (("target", "inputs", "outputs"), ("metadata", "is_hop_single_tensor_return", "name"))
"""Required and optional keys of a node."""
NO_GRAD: Final = "torch.ops.higher_order.wrap_with_set_grad_enabled"
AUTOCAST: Final = "torch.ops.higher_order.wrap_with_autocast"
_BEFORE_GRAPH: Final = {NO_GRAD: 1, AUTOCAST: 4}
"""Number of settings before the region's graph among the arguments."""
_VALUES: Final = ("tensor_values", "sym_int_values", "sym_bool_values", "sym_float_values")
_REGION: Final = re.compile(r"submod_[0-9]{1,6}")
_MAX_DEPTH: Final = 8
_ALIAS: Final = "torch.ops.aten.alias.default"


def inlined(document: Any) -> Any:
    """Return the JSON of a program with its regions in line; one without any is returned as it is."""
    module = document.get("graph_module") if isinstance(document, dict) else None
    graph = module.get("graph") if isinstance(module, dict) else None
    nodes = graph.get("nodes") if isinstance(graph, dict) else None
    if module is None or not isinstance(nodes, list) or not any(map(_is_region, nodes)):
        return document
    return {**document, "graph_module": {**module, "graph": _Flat(Cursor(graph, "graph")).graph()}}


def graph_fields(graph: Cursor) -> dict[str, Cursor]:
    """Return the members of a graph; one with custom objects is refused."""
    fields = graph.object(*_GRAPH)
    if fields.get("custom_obj_values") is not None and fields["custom_obj_values"].value:
        raise fields["custom_obj_values"].refuse("custom objects are not read", what_to_do=advice.FOREIGN)
    return fields


def _is_region(node: Any) -> bool:
    target = node.get("target") if isinstance(node, dict) else None
    return isinstance(target, str) and target in _BEFORE_GRAPH


class _Flat:
    """A graph that takes in the nodes of its regions, one level after the other."""

    def __init__(self, graph: Cursor) -> None:
        self._fields = graph.object(*_GRAPH)
        self._nodes: list[dict[str, Any]] = []
        self._values: dict[str, dict[str, Any]] = {
            key: dict(self._fields[key].value or {}) for key in _VALUES if key in self._fields
        }
        self._taken = {name for values in self._values.values() for name in values}

    def graph(self) -> dict[str, Any]:
        """Return the graph without regions."""
        self._take(self._fields["nodes"], lambda name, _: name, _MAX_DEPTH)
        kept = {key: field.value for key, field in self._fields.items()}
        return {**kept, **self._values, "nodes": self._nodes}

    def _take(self, nodes: Cursor, rename: Callable[[str, Cursor], str], depth: int) -> None:
        """Add nodes under the names that their graph has here."""
        regions: set[str] = set()
        for node in nodes.items(MAX_NODES):
            fields = node.object(*NODE)
            if _is_region(node.value):
                self._region(fields, rename, regions, depth)
            else:
                self._add(node.value["target"], _renamed(fields["inputs"], rename), _renamed(fields["outputs"], rename))

    def _add(self, target: Any, inputs: Any, outputs: Any) -> None:
        if len(self._nodes) >= MAX_NODES:
            raise self._fields["nodes"].refuse(f"more than {MAX_NODES} nodes, those of regions included")
        self._nodes.append({"target": target, "inputs": inputs, "outputs": outputs, "metadata": {}, "name": None})

    def _region(
        self, fields: Mapping[str, Cursor], rename: Callable[[str, Cursor], str], regions: set[str], depth: int
    ) -> None:
        """Add the nodes of a region: its inputs are the node's operands, its outputs the node's."""
        if depth == 0:
            raise fields["target"].refuse(f"regions nested deeper than {_MAX_DEPTH}")
        target = fields["target"].string()
        arguments = [item.object(("name", "arg"), ("kind",))["arg"] for item in fields["inputs"].items()]
        before = _BEFORE_GRAPH[target]
        if len(arguments) <= before:
            raise fields["inputs"].refuse(f"a region with {len(arguments)} arguments")
        _require_same_values(target, arguments[:before])
        inner, name = _graph_of(arguments[before])
        if name in regions:
            raise fields["inputs"].refuse(f"two regions are called {name!r}; other loaders keep one of them for both")
        regions.add(name)
        scope = _Scope(self._taken, name)
        for known, given in _zipped(inner["inputs"], arguments[before + 1 :]):
            scope.names[known] = rename(_named(given), given)
        results: dict[str, str] = {}
        passed: list[tuple[str, Cursor]] = []
        for known, given in _zipped(inner["outputs"], fields["outputs"].items()):
            if known in results or known in scope.names:
                passed.append((known, given))  # an operand that is passed through, or one value under two names
            else:
                results[known] = rename(_named(given), given)
        scope.names.update(results)
        self._keep_values(inner, scope)
        self._take(inner["nodes"], scope.of, depth - 1)
        for known, given in passed:
            source = {"name": "self", "arg": {"as_tensor": {"name": scope.names[known]}}, "kind": 1}
            self._add(_ALIAS, [source], [{"as_tensor": {"name": rename(_named(given), given)}}])

    def _keep_values(self, inner: Mapping[str, Cursor], scope: _Scope) -> None:
        """Take over the shapes of the inner graph's values, under the names that they have here."""
        for key in _VALUES:
            if key not in inner:
                continue
            for known, described in inner[key].mapping():
                fresh = scope.define(known, described)
                self._values.setdefault(key, {}).setdefault(fresh, described.value)
                self._taken.add(fresh)


class _Scope:
    """Names of an inner graph, and of the same values in the outer one."""

    def __init__(self, taken: set[str], region: str) -> None:
        self.names: dict[str, str] = {}
        self._taken = taken
        self._region = region

    def define(self, known: str, where: Cursor) -> str:
        """Return the outer name of a value of the inner graph: as it was bound, or one that is not taken yet."""
        if known not in self.names:
            fresh = Cursor(f"{self._region}_{known}", where.key, where.parent).identifier()
            while fresh in self._taken:
                fresh = Cursor(f"{fresh}_", where.key, where.parent).identifier()
            self.names[known] = fresh
        return self.names[known]

    def of(self, known: str, where: Cursor) -> str:
        """Return the outer name for a name that the inner graph uses, or refuse it."""
        if known not in self.names:
            raise where.refuse(f"{known!r} is no value of the region")
        return self.names[known]


def _require_same_values(target: str, settings: list[Cursor]) -> None:
    """Refuse a region that would compute other values than the same nodes in line."""
    if target == NO_GRAD:
        kind, value = settings[0].union()
        if kind != "as_bool":
            raise settings[0].refuse("expected whether gradients are kept")
        value.boolean()
        return
    kind, value = settings[2].union()
    if kind != "as_bool" or value.boolean():
        raise settings[2].refuse("a region under autocast computes in another type", what_to_do=advice.AUTOCAST)


def _graph_of(argument: Cursor) -> tuple[dict[str, Cursor], str]:
    kind, value = argument.union()
    if kind != "as_graph":
        raise argument.refuse(f"expected the region's graph, got {kind!r}")
    fields = value.object(("name", "graph"))
    name = fields["name"].string()
    if _REGION.fullmatch(name) is None:
        raise fields["name"].refuse(f"{name!r} is no name that the exporter gives a region")
    return graph_fields(fields["graph"]), name


def _zipped(inner: Cursor, outer: list[Cursor]) -> list[tuple[str, Cursor]]:
    """Return the inner names, each with its value outside; other numbers of the two are refused."""
    known = inner.items()
    if len(known) != len(outer):
        raise inner.refuse(f"{len(known)} values inside a region for {len(outer)} outside")
    return [(_named(one), other) for one, other in zip(known, outer, strict=True)]


def _named(argument: Cursor) -> str:
    """Return the name of a tensor, or of a size that was computed."""
    kind, value = argument.union()
    if kind == "as_tensor":
        return value.object(("name",))["name"].identifier()
    if kind in {"as_sym_int", "as_sym_float", "as_sym_bool"}:
        tag, name = value.union()
        if tag == "as_name":
            return name.identifier()
    raise argument.refuse(f"expected a value of the graph, got {kind!r}")


def _renamed(cursor: Cursor, rename: Callable[[str, Cursor], str]) -> Any:
    """Return arguments or results with every value under its new name."""
    value = cursor.value
    if isinstance(value, list):
        return [_renamed(Cursor(item, index, cursor), rename) for index, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"name"}:
        return {"name": rename(Cursor(value["name"], "name", cursor).identifier(), cursor)}
    if value.keys() == {"as_name"}:
        return {"as_name": rename(Cursor(value["as_name"], "as_name", cursor).identifier(), cursor)}
    return {key: _renamed(Cursor(item, key, cursor), rename) for key, item in value.items()}
