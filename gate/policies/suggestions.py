"""Suggestions for an unknown name: options, keys, metrics and others."""

import difflib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel

MOST = 5
_CUTOFF = 0.6
"""Least similarity of two names; the standard library's default."""


def near(word: str, known: Iterable[str], most: int = MOST, cutoff: float = _CUTOFF) -> tuple[str, ...]:
    """Return the known names nearest to a word: by a common beginning, by likeness, by inclusion."""
    names = {name.lower(): name for name in sorted(set(known), reverse=True)}
    sought = word.lower()[:200]
    if not sought:
        return ()
    beginning = [name for name in sorted(names) if name.startswith(sought)]
    alike = difflib.get_close_matches(sought, names, n=most, cutoff=cutoff)
    holding = [name for name in sorted(names) if len(sought) >= 3 and sought in name]
    return tuple(names[name] for name in dict.fromkeys((*beginning, *alike, *holding)))[:most]


def did_you_mean(word: str, known: Iterable[str], most: int = MOST, cutoff: float = _CUTOFF) -> str:
    """Return `did you mean 'a' or 'b'?`, or nothing where no known name is near."""
    found = [f"'{name}'" for name in near(word, known, most, cutoff)]
    if not found:
        return ""
    return f"did you mean {found[0] if len(found) == 1 else ', '.join(found[:-1]) + ' or ' + found[-1]}?"


def instead(word: str, known: Sequence[str], most: int = 1) -> str:
    """Return the end of a sentence on an unknown name: the nearest name or, where none is near, all known names."""
    if meant := did_you_mean(word, known, most):
        return f"; {meant}"
    return f"; expected one of {', '.join(known)}" if known else ""


def keys_at(model: "type[BaseModel]", where: Sequence[str | int]) -> list[str]:
    """Return the keys that a model's own schema allows at a path; for a list those of its entries."""
    schema = model.model_json_schema(by_alias=True)
    here: dict[str, Any] = schema
    for part in where:
        here = _resolved(schema, here)
        found = here.get("items") if isinstance(part, int) else here.get("properties", {}).get(part)
        found = here.get("additionalProperties", {}) if found is None else found
        here = found if isinstance(found, dict) else {}
    here = _resolved(schema, here)
    return sorted(_resolved(schema, here.get("items", here)).get("properties", {}))


def _resolved(schema: dict[str, Any], here: dict[str, Any]) -> dict[str, Any]:
    # An optional record is an alternative of the record and null.
    here = next((option for option in here.get("anyOf", ()) if "$ref" in option), here)
    found: dict[str, Any] = schema["$defs"][here["$ref"].rsplit("/", maxsplit=1)[-1]] if "$ref" in here else here
    return found
