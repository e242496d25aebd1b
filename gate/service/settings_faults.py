"""An error in the service's configuration as one sentence: the line, the key, and a suggestion.

TOML's reader keeps no lines, so the key is searched for in the text: tables by their headers, keys at a line's start.
"""

import re
from collections.abc import Iterator

from pydantic import BaseModel, ValidationError

from gate.policies.suggestions import did_you_mean, keys_at

_HEADER = re.compile(r"\s*(\[\[?)\s*([A-Za-z0-9_.\"'-]+)\s*\]\]?\s*(?:#.*)?")
_KEY = re.compile(r"\s*[\"']?([A-Za-z0-9_-]+)[\"']?\s*(?:\.|=)")

Place = tuple[str | int, ...]


def fault(error: ValidationError, text: str, file: type[BaseModel]) -> str:
    """Return the first fault of a file with its line; an unknown key goes before a value that is out of range."""
    faults = error.errors(include_url=False, include_context=False)
    first = next((one for one in faults if one["type"] == "extra_forbidden"), faults[0])
    place: Place = tuple(first["loc"])
    line = line_of(text, place)
    where = f"line {line}: " if line else ""
    if first["type"] == "extra_forbidden":
        return f"{where}{_unknown(place, file)}"
    name = _name(place)
    if first["type"] == "missing":
        return f"{where}the key '{name}' is missing"
    message = first["msg"].removeprefix("Value error, ")
    got = first["input"]
    # An address may hold a token, and this sentence is logged.
    shown = "" if not place or isinstance(got, dict | list) or "://" in str(got) else f"; got {got!r:.80}"
    return f"{where}at '{name}': {message}{shown}" if name else f"{where}{message}"


def line_of(text: str, place: Place) -> int | None:
    """Return the line, from 1, at which a key is set, or else the nearest table around it begins."""
    found = dict(_places(text))
    for length in range(len(place), 0, -1):
        if place[:length] in found:
            return found[place[:length]]
    return None


def _places(text: str) -> Iterator[tuple[Place, int]]:
    """Yield the place of each table and key with its line; an array's tables are numbered from 0."""
    table: Place = ()
    counts: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.fullmatch(line):
            name = header[2].replace('"', "").replace("'", "")
            table = tuple(name.split("."))
            if header[1] == "[[":
                counts[name] = counts.get(name, -1) + 1
                table = (*table, counts[name])
            yield table, number
        elif key := _KEY.match(line):
            yield (*table, key[1]), number


def _unknown(place: Place, file: type[BaseModel]) -> str:
    """Return what an unknown key may mean: another key there, or the same key in another table."""
    key, table = str(place[-1]), place[:-1]
    known = keys_at(file, table)
    unknown = f"there is no key '{_name(place)}'"
    if meant := did_you_mean(key.replace("_", "-"), known, most=2):
        return f"{unknown}; {meant}"
    elsewhere = [name for name in keys_at(file, ()) if key in keys_at(file, (name,))]
    if elsewhere:
        return f"{unknown}; '{key}' stands under [{elsewhere[0]}]"
    if key in keys_at(file, ()):
        return f"{unknown}; '{key}' stands above all tables"
    return f"{unknown}; expected one of {', '.join(known)}" if known else unknown


def _name(place: Place) -> str:
    return ".".join(str(part) for part in place)
