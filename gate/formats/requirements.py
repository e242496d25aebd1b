"""Requirements that install from elsewhere than the index by a plain name: pip lines, conda and virtualenv files.

A positive grammar: a distribution's name, extras, version bounds, a marker, hashes. Whatever else a line says (a URL,
a path, an option, a direct reference) makes the deployer's installer fetch or run what the candidate chose.
"""

import re
from collections.abc import Iterator
from typing import Any

from gate.formats.mlmodel import read_yaml
from gate.formats.source import UnreadableError

MAX_BYTES = 512 << 10
_NAME = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?"
_VERSION = r"(===?|~=|!=|<=|>=|<|>)\s*[A-Za-z0-9.*+!_-]{1,64}"
_BOUNDS = rf"(\(?\s*{_VERSION}(\s*,\s*{_VERSION}){{0,8}}\s*,?\s*\)?)?"
_MARKER = r"(\s*;[\sA-Za-z0-9_.,'\"<>=!~()+*-]{1,500})?"
_HASHES = r"(\s+--hash=sha(256|384|512):[0-9a-f]{64,128}){0,64}"
_PLAIN = re.compile(
    rf"{_NAME}(\s*\[\s*[A-Za-z0-9._-]+(\s*,\s*[A-Za-z0-9._-]+){{0,16}}\s*\])?\s*{_BOUNDS}{_MARKER}{_HASHES}\s*"
)
_OWN_FILE = re.compile(r"(-r|-c|--requirement|--constraint)[ =]*(requirements|constraints)\.txt")
_CONDA = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(\s*[=<>!~|,* A-Za-z0-9_.+-]*)?")
_MAX_LINE = 2000
CHANNELS = frozenset({"conda-forge", "defaults", "nodefaults", "pytorch", "nvidia"})
"""Channels that a conda file may name without comment."""


def foreign_lines(text: str) -> Iterator[str]:
    """Yield the lines of a pip requirements file that are no plain requirement."""
    for line in text.replace("\\\r\n", " ").replace("\\\n", " ").splitlines():
        # Runs of spaces are folded before the grammar sees them: they would cost it polynomial time.
        bare = " ".join(re.sub(r"(^|\s)#.*$", "", line).split())
        if bare and (len(bare) > _MAX_LINE or not (_PLAIN.fullmatch(bare) or _OWN_FILE.fullmatch(bare))):
            yield bare


def foreign_in_file(path: str, raw: bytes) -> Iterator[str]:
    """Yield what a requirements, conda or virtualenv file installs from elsewhere; else raise `UnreadableError`."""
    if path.endswith(".txt"):
        if len(raw) > MAX_BYTES:
            raise UnreadableError(f"larger than {MAX_BYTES} bytes")
        try:
            yield from foreign_lines(raw.decode("utf-8"))
        except UnicodeDecodeError:
            raise UnreadableError("requirements that are not UTF-8") from None
        return
    value = read_yaml(raw, what=path)
    if not isinstance(value, dict):
        raise UnreadableError(f"{path}: expected a mapping")
    for key, content in value.items():
        yield from _entry(str(key), content)


def _entry(key: str, content: Any) -> Iterator[str]:
    """Yield the foreign parts under one top-level key of a conda or virtualenv file."""
    if key == "channels":
        yield from (f"channel {name}" for name in _items(content) if not (isinstance(name, str) and name in CHANNELS))
    elif key in ("dependencies", "build_dependencies"):
        for item in _items(content):
            yield from _dependency(item)
    elif key not in ("name", "python"):
        yield f"{key}: {str(content)[:100]}"


def _dependency(item: Any) -> Iterator[str]:
    if isinstance(item, dict) and set(item) == {"pip"}:
        for line in _items(item["pip"]):
            yield from foreign_lines(str(line))
    elif not isinstance(item, str):
        yield str(item)[:200]
    elif len(item) > _MAX_LINE or not _CONDA.fullmatch(" ".join(item.split())):
        yield from foreign_lines(item)


def _items(content: Any) -> list[Any]:
    if content is None:
        return []
    return content if isinstance(content, list) else [content]
