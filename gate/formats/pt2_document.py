"""The JSON of an exported program, checked for what a deployer's `torch.export.load` would do with each text in it.

The gate's reader needs neither guards nor symbolic sizes nor call signatures, so nothing in them can harm the gate. But
others load the approved bytes, and their loader evaluates some of these texts. The inspector checks a candidate so, and
the writer of bundles what it writes.
"""

import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from gate.formats.pt2_grammar import (
    foreign_container,
    is_guard,
    is_size_expression,
    is_symbol,
    is_tree_spec,
    plain_output,
    tree_keys,
)

_MAX_DEPTH: Final = 200
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,255}")
_QUALIFIED = re.compile(r"[A-Za-z0-9_.@]{0,1024}")
_CODE_NAMES: Final = frozenset({"inf", "nan", "NoneType", "torch", "device", "fx_pytree", "pytree", "self"})
"""Names in code that torch generates (`inf` also as `-inf`): an argument of such a name would replace them."""
_OPERATOR = re.compile(
    r"torch\.ops\.[a-z_]{1,64}\.[A-Za-z0-9_]{1,64}\.[A-Za-z0-9_]{1,64}|"
    r"torch\.ops\.higher_order\.(wrap_with_set_grad_enabled|wrap_with_autocast)|"
    r"_operator\.[a-z_]{1,32}|torch\.sym_[a-z_]{1,32}|torch\._sym_sqrt|math\.(trunc|ceil|floor)"
)
_TARGET = re.compile(r"[A-Za-z0-9_.<>:\- ]{0,512}")
_NODE_METADATA = frozenset({"stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn", "custom", "from_node"})
_REGION = re.compile(r"submod_[0-9]{1,6}")
"""The exporter's names for the graph of a region without gradients or autocast."""
_VERIFIERS: Final = ("TRAINING", "ATEN")
_NAMED_VALUES: Final = ("tensor_values", "sym_int_values", "sym_bool_values", "sym_float_values", "custom_obj_values")


@dataclass(frozen=True, slots=True)
class Finding:
    """One text of a program that another loader might execute."""

    where: str
    what: str


def lint_document(document: Any) -> Iterator[Finding]:
    """Yield the hazards in a program's JSON."""
    yield from _walk(document, "model.json", 0)
    for index, guard in enumerate(_list(document, "guards_code")):
        if not (isinstance(guard, str) and is_guard(guard)):
            yield Finding(f"guards_code[{index}]", "not a plain comparison of input sizes; other loaders execute it")
    for name in _mapping(document, "range_constraints"):
        if not is_symbol(name):
            yield Finding("range_constraints", "a constraint that is not on a plain size")
    if not all(name in _VERIFIERS for name in _list(document, "verifiers")):
        yield Finding("verifiers", "an unknown dialect")
    yield from _module(_mapping(document, "graph_module"))


def _module(module: dict[str, Any]) -> Iterator[Finding]:
    yield from _graph(_mapping(module, "graph"), "", 0)
    for index, entry in enumerate(_list(module, "module_call_graph")):
        yield from _call_signature(entry, f"module_call_graph[{index}]")
    if _mapping(module, "treespec_namedtuple_fields"):
        yield Finding("treespec_namedtuple_fields", "named tuples are looked up by name in other loaders")
    if not set(_mapping(module, "metadata")) <= {"custom"}:
        yield Finding("graph_module.metadata", "unknown metadata")


def _graph(graph: dict[str, Any], where: str, depth: int) -> Iterator[Finding]:
    """Yield hazards in a graph and in the graphs that its nodes hold."""
    if depth > _MAX_DEPTH:
        yield Finding(where, "nested too deeply")
        return
    for key in _NAMED_VALUES:
        yield from (_name(name, f"{where}graph.{key}") for name in _mapping(graph, key) if _is_hazardous(name))
    for index, node in enumerate(_list(graph, "nodes")):
        place = f"{where}nodes[{index}]"
        yield from _node(node, place)
        for argument in _list(node, "inputs"):
            held = _mapping(_mapping(argument, "arg"), "as_graph")
            if held and _REGION.fullmatch(str(held.get("name"))) is None:
                yield Finding(place, "a graph inside the graph under no name of the exporter's")
            if held:
                yield from _graph(_mapping(held, "graph"), f"{place}.", depth + 1)


def _walk(value: Any, where: str, depth: int) -> Iterator[Finding]:
    """Yield hazards that may be anywhere: symbolic expressions, pickled records, identifiers of values."""
    if depth > _MAX_DEPTH:
        yield Finding(where, "nested too deeply")
    elif type(value) is dict:
        for key, item in value.items():
            yield from _entry(key, item, where)
            if isinstance(item, dict | list):
                yield from _walk(item, f"{where}.{key}" if _IDENTIFIER.fullmatch(key) else where, depth + 1)
    elif type(value) is list:
        for index, item in enumerate(value):
            if isinstance(item, dict | list):
                yield from _walk(item, f"{where}[{index}]", depth + 1)


def _entry(key: str, item: Any, where: str) -> Iterator[Finding]:
    if key == "expr_str" and not (isinstance(item, str) and is_size_expression(item)):
        yield Finding(where, "expr_str is no plain expression of sizes; other loaders evaluate it")
    elif key == "use_pickle" and item is not False:
        yield Finding(where, "a pickled record; other loaders unpickle it, which runs code")
    elif key == "as_name" and _is_hazardous(item):
        yield _name(item, where)


def _node(node: Any, where: str) -> Iterator[Finding]:
    target = node.get("target") if isinstance(node, dict) else None
    if not isinstance(target, str) or _OPERATOR.fullmatch(target) is None:
        yield Finding(f"{where}.target", "no operator; other loaders look it up by attributes of their modules")
    name = node.get("name") if isinstance(node, dict) else None
    if name is not None and _is_hazardous(name):
        yield _name(name, where)
    metadata = _mapping(node, "metadata")
    if not set(metadata) <= _NODE_METADATA:
        yield Finding(f"{where}.metadata", "unknown metadata")
    sources = metadata.get("source_fn_stack", "")
    if not isinstance(sources, str) or not all(_TARGET.fullmatch(part) for part in re.split("[,;]", sources)):
        yield Finding(f"{where}.metadata.source_fn_stack", "not the name of a function")


def _call_signature(entry: Any, where: str) -> Iterator[Finding]:
    """Yield hazards in a (sub)module's call signature: its qualified name, containers and argument names."""
    if not isinstance(entry, dict) or _QUALIFIED.fullmatch(str(entry.get("fqn"))) is None:
        yield Finding(where, "not a qualified name of a module")
        return
    signature = entry.get("signature")
    if signature is None:
        return
    for key, does in (("in_spec", "takes"), ("out_spec", "returns")):
        text = _mapping(entry, "signature").get(key)
        if not isinstance(text, str) or not (is_tree_spec(text) if key == "in_spec" else plain_output(text)):
            yield Finding(f"{where}.{key}", foreign_container(text, does))
        elif key == "in_spec":
            # torch writes the names of keyword arguments into the head of the function that it generates.
            yield from (_name(name, f"{where}.in_spec") for name in tree_keys(text) if _is_hazardous(name))
    for name in _list(signature, "forward_arg_names"):
        if _is_hazardous(name):
            yield _name(name, f"{where}.forward_arg_names")


def _is_hazardous(name: Any) -> bool:
    """Whether a name could be more than a name in generated code."""
    if not isinstance(name, str) or _IDENTIFIER.fullmatch(name) is None:
        return True
    return keyword.iskeyword(name) or name in _CODE_NAMES


def _name(name: Any, where: str) -> Finding:
    return Finding(where, f"{ascii(name)[:80]} is no plain name; other loaders write it into code and execute that")


def _mapping(value: Any, key: str) -> dict[str, Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _list(value: Any, key: str) -> list[Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []
