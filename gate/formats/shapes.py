"""Shapes of values in a file: a test, and the text that says what was expected if it fails."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_MAX_TEXT = 10_000
_MAX_DEPTH = 16
_MAX_ITEMS = 10_000


@dataclass(frozen=True)
class Shape:
    """A positive description of a value."""

    expected: str
    """The value in a file that MLflow wrote, as the end of 'MLflow writes …'."""
    holds: Callable[[Any], bool]


def exactly(*values: Any) -> Shape:
    """Return the shape of one of these plain values, compared with their types."""
    expected = " or ".join("null" if value is None else repr(value) for value in values)
    return Shape(expected, lambda given: any(type(given) is type(value) and given == value for value in values))


def text(pattern: str, expected: str) -> Shape:
    """Return the shape of a text that a pattern matches from end to end."""
    compiled = re.compile(pattern, flags=re.ASCII)
    return Shape(expected, lambda given: isinstance(given, str) and compiled.fullmatch(given) is not None)


def many(item: Shape, expected: str) -> Shape:
    """Return the shape of a list of at most 1000 items."""
    return Shape(expected, lambda given: isinstance(given, list) and len(given) <= 1000 and all(map(item.holds, given)))


def either(first: Shape, second: Shape) -> Shape:
    """Return the shape of a value that has one of two shapes."""
    return Shape(f"{first.expected} or {second.expected}", lambda given: first.holds(given) or second.holds(given))


def plain(expected: str) -> Shape:
    """Return the shape of nested mappings, lists, texts, numbers and nulls, within bounds."""
    return Shape(expected, lambda given: _is_plain(given, _MAX_DEPTH, [_MAX_ITEMS]))


def _is_plain(value: Any, depth: int, left: list[int]) -> bool:
    left[0] -= 1
    if depth == 0 or left[0] < 0:
        return False
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(item, depth - 1, left) for key, item in value.items())
    if isinstance(value, list):
        return all(_is_plain(item, depth - 1, left) for item in value)
    if isinstance(value, str):
        return len(value) <= _MAX_TEXT
    return value is None or isinstance(value, bool | int | float)
