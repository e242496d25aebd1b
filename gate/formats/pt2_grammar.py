"""Closed grammars for the texts of an archive that torch's own loader evaluates as Python.

The strict reader never evaluates them; `torch.export.load` does. A text is parsed with `ast`, never run, and is
accepted only if every part of its tree is on the list.
"""

from __future__ import annotations

import ast
import json
import re
from typing import Any, Final

MAX_TEXT = 20_000
MAX_DEPTH = 60
MAX_SHOWN = 120
"""Number of characters of a hostile name in a message."""
_SYMBOL = re.compile(r"[a-z]{1,8}[0-9]{1,6}(_[0-9]{1,6})?")
_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?(e[+-]?[0-9]{1,3})?")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,255}")
_MAX_EXPONENT = 16
_MAX_INTEGER = 2**63

_EXPRESSIONS: Final = frozenset({
    "Add", "And", "CeilToInt", "CleanDiv", "Eq", "Equality", "FloatTrueDiv", "FloorDiv", "FloorToInt", "Ge",
    "GreaterThan", "Gt", "Identity", "IntTrueDiv", "Integer", "Le", "LessThan", "Lt", "Max", "Min", "Mod",
    "ModularIndexing", "Mul", "Ne", "Not", "Or", "PythonMod", "Rational", "StrictGreaterThan", "StrictLessThan",
    "ToFloat", "TruncToInt", "Unequality", "Where",
})  # fmt: skip
_ASSUMPTIONS: Final = frozenset({"positive", "integer", "nonnegative", "negative", "zero", "real", "finite"})
_DICT: Final = "builtins.dict"
_TREE_TYPES: Final = frozenset({"builtins.tuple", "builtins.list", _DICT})
_LIBRARY_OUTPUT = re.compile(
    r"transformers\.(?:modeling_outputs|models\.[a-z0-9_]{1,60}\.modeling_[a-z0-9_]{1,60})\."
    r"([A-Z][A-Za-z0-9]{0,80}Output[A-Za-z0-9]{0,60})"
)
"""Output classes of transformers, with a field for each tensor. torch looks the name up among the classes that the
process has registered and imports none; a process that has not registered it opens no such archive."""
_GUARD_OPERATORS: Final = (
    ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Div, ast.Mod, ast.USub, ast.Not, ast.And, ast.Or,
    ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE,
)  # fmt: skip
_GUARD_FUNCTIONS: Final = frozenset({"max", "min", "Max", "Min"})


def is_symbol(text: str) -> bool:
    """Whether a text is the plain name of a size, such as `s77` or `u0`."""
    return _SYMBOL.fullmatch(text) is not None


def is_size_expression(text: str) -> bool:
    """Whether a text is a constructor expression of sizes: sums, products, quotients of symbols and integers."""
    tree = _parse(text)
    return tree is not None and _size(tree, MAX_DEPTH)


def is_guard(text: str) -> bool:
    """Whether a text only compares sizes of inputs, in integer arithmetic."""
    tree = _parse(text)
    return tree is not None and _guard(tree, MAX_DEPTH)


def is_tree_spec(text: str) -> bool:
    """Whether a text describes nested tuples, lists and dicts with plain string keys, and nothing that is imported."""
    value = _specification(text)
    return value is not None and _tree(value, MAX_DEPTH)


def plain_output(text: str) -> tuple[str, str] | None:
    """Return an output's specification in plain containers, and the class of transformers that it names, if any.

    Only the outermost container may be such a class. With one tensor in it, that tensor is returned; with more, a dict
    of its fields. None if the text is neither that nor plain.
    """
    value = _specification(text)
    if value is None:
        return None
    if _tree(value, MAX_DEPTH):
        return text, ""
    match = _LIBRARY_OUTPUT.fullmatch(value["type"]) if _is_node(value) and type(value["type"]) is str else None
    if match is None:
        return None
    plain = {**value, "type": _DICT}
    if not _tree(plain, MAX_DEPTH) or len(json.loads(value["context"]) or []) != len(value["children_spec"]):
        return None
    alone = [child for child in value["children_spec"] if child["type"] is None and len(value["children_spec"]) == 1]
    return json.dumps([1, alone[0] if alone else plain]), match[1]


def _specification(text: str) -> Any:
    """Return the tree of a specification of the one version that is read; None for any other text."""
    value = _json(text)
    return value[1] if isinstance(value, list) and len(value) == 2 and value[0] == 1 else None


def _json(text: Any) -> Any:
    if type(text) is not str or len(text) > MAX_TEXT:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def tree_keys(text: str) -> list[str]:
    """Return the keys of all dicts in a tree specification."""
    waiting = [json.loads(text)[1]]
    keys: list[str] = []
    while waiting:
        tree = waiting.pop()
        keys += json.loads(tree["context"]) or [] if tree["context"] is not None else []
        waiting += tree["children_spec"]
    return keys


def foreign_container(text: Any, does: str = "returns") -> str:
    """Return a sentence on what is wrong with a text that is no tree specification, and what to do instead."""
    named = _foreign_type(text)
    if named is None:
        return f"the model {does} no plain tuple, list or dict with names as keys; other loaders import what it names"
    foreign = f"the model {does} a {named}, which other loaders import to rebuild"
    if does != "returns":
        return f"{foreign}; expected tensors in plain containers"
    return f"{foreign}; log a module around it that returns its class scores as one tensor, such as model(x).logits"


def _foreign_type(text: Any) -> str | None:
    """Return the first type that a specification names besides tuples, lists and dicts, printable and short."""
    waiting = [_json(text)]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            named = value.get("type")
            if isinstance(named, str) and named not in _TREE_TYPES:
                return ascii(named[:MAX_SHOWN])[1:-1]
            waiting.append(value.get("children_spec"))
        elif isinstance(value, list):
            waiting.extend(reversed(value))
    return None


def _parse(text: str) -> ast.expr | None:
    if len(text) > MAX_TEXT or not text.isascii() or not text.isprintable():
        return None
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _size(node: ast.expr, depth: int) -> bool:  # noqa: PLR0911  # one return for each form of the grammar
    if depth == 0:
        return False
    if isinstance(node, ast.Name):
        return is_symbol(node.id)
    if _integer(node) is not None:
        return True
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return False
    name = node.func.id
    if name == "Symbol":
        return _texts(node.args, _SYMBOL) and all(_assumption(keyword) for keyword in node.keywords)
    if name == "Float":
        precise = all(keyword.arg == "precision" and _integer(keyword.value) is not None for keyword in node.keywords)
        return _texts(node.args, _NUMBER) and precise
    if node.keywords:
        return False
    if name in {"Pow", "PowByNatural"}:
        return len(node.args) == 2 and _size(node.args[0], depth - 1) and _small_power(node.args[1])
    return name in _EXPRESSIONS and all(_size(argument, depth - 1) for argument in node.args)


def _small_power(node: ast.expr) -> bool:
    inner = node.args[0] if isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords else node
    named = not isinstance(node, ast.Call) or (isinstance(node.func, ast.Name) and node.func.id == "Integer")
    value = _integer(inner)
    return named and value is not None and abs(value) <= _MAX_EXPONENT


def _integer(node: ast.expr) -> int | None:
    negative = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
    inner = node.operand if isinstance(node, ast.UnaryOp) else node
    if isinstance(node, ast.UnaryOp) and not negative:
        return None
    if not isinstance(inner, ast.Constant) or type(inner.value) is not int or inner.value >= _MAX_INTEGER:
        return None
    return -inner.value if negative else inner.value


def _texts(arguments: list[ast.expr], pattern: re.Pattern[str]) -> bool:
    if len(arguments) != 1 or not isinstance(arguments[0], ast.Constant):
        return False
    value = arguments[0].value
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _assumption(keyword: ast.keyword) -> bool:
    value = keyword.value
    return keyword.arg in _ASSUMPTIONS and isinstance(value, ast.Constant) and type(value.value) is bool


def _guard(node: ast.expr, depth: int) -> bool:  # noqa: PLR0911  # one return for each form of the grammar
    if depth == 0:
        return False
    if isinstance(node, ast.Compare):
        plain = all(isinstance(operator, _GUARD_OPERATORS) for operator in node.ops)
        return plain and all(_guard(part, depth - 1) for part in (node.left, *node.comparators))
    if isinstance(node, ast.BoolOp):
        return all(_guard(value, depth - 1) for value in node.values)
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, _GUARD_OPERATORS) and _guard(node.left, depth - 1) and _guard(node.right, depth - 1)
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, _GUARD_OPERATORS) and _guard(node.operand, depth - 1)
    if isinstance(node, ast.Call):
        plain = isinstance(node.func, ast.Name) and node.func.id in _GUARD_FUNCTIONS and not node.keywords
        return plain and all(_guard(argument, depth - 1) for argument in node.args)
    if isinstance(node, ast.Subscript):
        return _is_size_of_input(node)
    return isinstance(node, ast.Constant) and type(node.value) in {int, bool, float}


def _is_size_of_input(node: ast.Subscript) -> bool:
    """Whether a tree is `L['x'].size()[2]`, for any path of names and positions into the inputs."""
    call, position = node.value, _integer(node.slice)
    if position is None or not isinstance(call, ast.Call) or call.args or call.keywords:
        return False
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in {"size", "stride"}:
        return False
    path = call.func.value
    found = False
    while isinstance(path, ast.Subscript):
        key = path.slice
        if not isinstance(key, ast.Constant):
            return False
        named = isinstance(key.value, str) and _IDENTIFIER.fullmatch(key.value) is not None
        if not named and type(key.value) is not int:
            return False
        path, found = path.value, True
    return found and isinstance(path, ast.Name) and path.id == "L"


def _is_node(value: Any) -> bool:
    return type(value) is dict and value.keys() == {"type", "context", "children_spec"}


def _tree(value: Any, depth: int) -> bool:
    if depth == 0 or not _is_node(value):
        return False
    children = value["children_spec"]
    if type(children) is not list or not all(_tree(child, depth - 1) for child in children):
        return False
    if value["type"] is None:
        return value["context"] is None and not children
    return type(value["type"]) is str and value["type"] in _TREE_TYPES and _context(value["context"])


def _context(text: Any) -> bool:
    """Whether a context is nothing, or a list of plain keys; an object in it may name a module to import."""
    if type(text) is not str:
        return False
    try:
        context = json.loads(text)
    except (ValueError, RecursionError):
        return False
    if context is None:
        return True
    return type(context) is list and all(type(key) is str and _IDENTIFIER.fullmatch(key) is not None for key in context)
