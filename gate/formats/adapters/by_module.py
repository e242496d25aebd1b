"""Values by module, as PEFT finds them: the first key that the end of a module's name matches.

PEFT 0.21, `utils/other.py` (get_pattern_key), takes a key as a regular expression behind any parts of a name. The
grammar leaves names, in which a dot stands for any one character, and `^`, which begins a whole name. So a key matches
texts of its own length alone, and is compared as one number with a mask: no expression is compiled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

_WHOLE: Final = "^"


@dataclass(frozen=True)
class _Key:
    order: int
    letters: int
    """Its characters as one number, zero where a dot stands."""
    mask: int
    """Ones where it has a character of its own."""
    whole: bool
    """Whether it matches whole names alone."""


@dataclass(frozen=True)
class ByModule:
    """Keys in their order, sorted by their lengths."""

    values: tuple[Any, ...]
    by_length: Mapping[int, Sequence[_Key]]

    @classmethod
    def of(cls, given: Mapping[str, Any] | None) -> Self:
        """Return the values of a mapping of names without faults; None is an empty one."""
        by_length: dict[int, list[_Key]] = {}
        for order, key in enumerate(given or {}):
            name = key.removeprefix(_WHOLE)
            mask = bytes(0 if letter == "." else 255 for letter in name)
            own = _Key(order, _number(name.replace(".", "\0")), int.from_bytes(mask), whole=name != key)
            by_length.setdefault(len(name), []).append(own)
        return cls(tuple((given or {}).values()), by_length)

    def at(self, module: str, otherwise: Any) -> Any:
        """Return the value of the first key that matches; a name without any has the other value."""
        found = [one for end in _ends(module) if (one := self._first(end, is_whole=end == module)) is not None]
        return self.values[min(found)] if found else otherwise

    def _first(self, end: str, *, is_whole: bool) -> int | None:
        number = _number(end) if len(end) in self.by_length else 0
        for key in self.by_length.get(len(end), ()):
            if number & key.mask == key.letters and (is_whole or not key.whole):
                return key.order
        return None


def _ends(module: str) -> list[str]:
    """Return a name and what follows each of its dots."""
    return [module, *(module[at + 1 :] for at, letter in enumerate(module) if letter == ".")]


def _number(text: str) -> int:
    return int.from_bytes(text.encode("ascii", "replace"))
