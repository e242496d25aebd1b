"""Faults of a JSON mapping against a grammar by key, each in one sentence."""

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any, Final

from gate.formats.shapes import Shape, either, exactly, many, text

_MAX_NAMED: Final = 5
_MAX_SHOWN: Final = 60
_MAX_INTEGER: Final = 1 << 31

NULL: Final = exactly(None)
FLAG: Final = Shape("true or false", lambda given: type(given) is bool)
INTEGER: Final = Shape("a whole number", lambda given: type(given) is int and abs(given) < _MAX_INTEGER)
NUMBER: Final = Shape(
    "a number", lambda given: type(given) in (int, float) and isfinite(given) and abs(given) < _MAX_INTEGER
)
WORD: Final = text(r"[A-Za-z0-9_.-]{0,60}", "a short word")
_ONE: Final = either(either(FLAG, NUMBER), either(WORD, NULL))
SETTING: Final = either(_ONE, many(_ONE, "a list of these"))
"""What a network's configuration may set: nothing that is a path, an address or a mapping."""


def faults(given: Any, grammar: Mapping[str, Shape], whose: str) -> Iterator[str]:
    """Yield the unknown keys in one sentence, and each known one whose value has another shape."""
    if not isinstance(given, Mapping):
        yield "it is no mapping"
        return
    if unknown := sorted(str(key) for key in given if key not in grammar):
        yield f"it holds {_listed(unknown)}, which the gate does not know for {whose}"
    for key, shape in grammar.items():
        if key in given and not shape.holds(given[key]):
            yield f"{key!r} is {str(given[key])[:_MAX_SHOWN]!r}; the gate reads {shape.expected}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return ", ".join(repr(name[:_MAX_SHOWN]) for name in names[:_MAX_NAMED]) + more
