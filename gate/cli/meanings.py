"""What a record's attributes mean: the docstrings below them, which Python itself does not keep."""

import ast
import inspect
from itertools import pairwise

from gate.records.record import Record


def meanings(record: type[Record]) -> dict[str, str]:
    """Return by attribute the docstring below it on one line, those of its parents too; none without their source."""
    found: dict[str, str] = {}
    for parent in reversed(record.__mro__):
        if issubclass(parent, Record):
            found |= _own(parent)
    return found


def _own(record: type[Record]) -> dict[str, str]:
    try:
        (tree,) = ast.parse(inspect.getsource(record)).body
    except OSError:
        return {}
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    return {
        ast.unparse(line.target): " ".join(str(following.value.value).split())
        for line, following in pairwise(body)
        if isinstance(line, ast.AnnAssign)
        and isinstance(following, ast.Expr)
        and isinstance(following.value, ast.Constant)
    }
