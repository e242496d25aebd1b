"""A cursor over parsed JSON: it knows its path, and every step that finds something unexpected refuses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from gate.programs.refused import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_INTEGER = 2**63
MAX_STRING = 4096
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,255}")
_SPECIAL_FLOATS = {"Infinity": float("inf"), "-Infinity": float("-inf"), "NaN": float("nan")}


class Cursor:
    """One JSON value and the path that led to it."""

    __slots__ = ("key", "parent", "value")

    def __init__(self, value: Any, key: str | int, parent: Cursor | None = None) -> None:
        self.value = value
        self.key = key
        self.parent = parent

    @property
    def where(self) -> str:
        """The path from the document's name down to this value."""
        if self.parent is None:
            return str(self.key)
        return f"{self.parent.where}[{self.key}]" if isinstance(self.key, int) else f"{self.parent.where}.{self.key}"

    def refuse(self, what: str, *, what_to_do: str = "") -> RefusedError:
        """Return the error to raise for something wrong here."""
        return RefusedError(self.where, what, what_to_do=what_to_do)

    def object(self, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Cursor]:
        """Return the members of an object that has the required keys and none but these and the optional ones."""
        if type(self.value) is not dict:
            raise self.refuse(f"expected an object, got {type(self.value).__name__}")
        for key in required:
            if key not in self.value:
                raise self.refuse(f"the key {key!r} is missing")
        for key in self.value:
            if key not in required and key not in optional:
                raise self.refuse(f"unknown key {key!r}")
        return {key: Cursor(value, key, self) for key, value in self.value.items()}

    def mapping(self) -> Iterator[tuple[str, Cursor]]:
        """Yield the members of an object with free keys."""
        if type(self.value) is not dict:
            raise self.refuse(f"expected an object, got {type(self.value).__name__}")
        for key, value in self.value.items():
            yield key, Cursor(value, key, self)

    def union(self) -> tuple[str, Cursor]:
        """Return the one member of a tagged union: its tag and its value."""
        if type(self.value) is not dict or len(self.value) != 1:
            raise self.refuse("expected an object with exactly one key")
        ((key, value),) = self.value.items()
        return key, Cursor(value, key, self)

    def items(self, limit: int = 100_000) -> list[Cursor]:
        """Return the items of a list of at most `limit`."""
        if type(self.value) is not list:
            raise self.refuse(f"expected a list, got {type(self.value).__name__}")
        if len(self.value) > limit:
            raise self.refuse(f"{len(self.value)} items; at most {limit} are read")
        return [Cursor(value, index, self) for index, value in enumerate(self.value)]

    def string(self) -> str:
        """Return a short string."""
        if type(self.value) is not str or len(self.value) > MAX_STRING:
            raise self.refuse(f"expected a string of at most {MAX_STRING} characters")
        return self.value

    def identifier(self) -> str:
        """Return an ASCII identifier; names end up in generated code elsewhere."""
        text = self.string()
        if _IDENTIFIER.fullmatch(text) is None:
            raise self.refuse(f"{text!r} is no identifier")
        return text

    def integer(self) -> int:
        """Return an integer of 64 bits."""
        if type(self.value) is not int or not -MAX_INTEGER <= self.value < MAX_INTEGER:
            raise self.refuse("expected an integer of 64 bits")
        return self.value

    def float(self) -> float:
        """Return a number; infinities and NaN are spelt out as strings by the format."""
        if type(self.value) is str and self.value in _SPECIAL_FLOATS:
            return _SPECIAL_FLOATS[self.value]
        if type(self.value) is int:
            return float(self.integer())
        if type(self.value) is not float:
            raise self.refuse("expected a number")
        return self.value

    def boolean(self) -> bool:
        """Return true or false."""
        if type(self.value) is not bool:
            raise self.refuse("expected true or false")
        return self.value
