"""GGUF metadata, bounded: the strings that a loader interprets, above all chat templates, which are programs."""

import re
import struct
from collections.abc import Iterator
from typing import Any

from gate.formats.source import Bounds, Source, UnreadableError

MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_MAX_PAIRS = 100_000
_MAX_STRING = 16 << 20
_MAX_ELEMENTS = 10_000_000
_MAX_DEPTH = 4
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_STRING, _ARRAY = 8, 9
_SUSPICIOUS = re.compile(
    r"__|\|\s*attr\b|\|\s*(map|selectattr|groupby)\s*\(\s*attribute|\\x5f|\\u005f|\b(mro|subclasses|globals|builtins|"
    r"popen|getattr|setattr|eval|exec|compile|import|include|extends|lipsum|cycler|joiner|self\._|_module|"
    r"gi_frame|func_globals|os\.|subprocess|request|config\.)\b",
    re.IGNORECASE,
)
_EXPRESSION = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{\{.*\Z|\{%.*\Z", re.DOTALL)
_LITERAL = re.compile(r"'[^'\\{}]*'|\"[^\"\\{}]*\"")


def template_hazards(text: str) -> Iterator[str]:
    """Yield the constructs in a chat template by which Jinja reaches Python's own objects."""
    for expression in _EXPRESSION.findall(text[:_MAX_STRING]):
        # Words inside plain literals are text; but names and keys reached by a literal are not, so `__` stays.
        code = _LITERAL.sub(lambda found: found[0] if "__" in found[0] else "''", expression)
        if match := _SUSPICIOUS.search(code):
            yield f"chat template uses {match[0]!r}"


def gguf_strings(source: Source, bounds: Bounds) -> Iterator[tuple[str, str]]:
    """Yield key and value of the metadata that are strings, or raise `UnreadableError`."""
    reader = _Reader(source, bounds)
    version, _, pairs = reader.header()
    if version not in _VERSIONS or pairs > _MAX_PAIRS:
        raise UnreadableError(f"GGUF version {version} with {pairs} entries")
    for _ in range(pairs):
        bounds.tick()
        key = reader.string()
        for value in reader.value(reader.number("<I"), 0):
            yield key, value


class _Reader:
    """Reads GGUF values forward."""

    def __init__(self, source: Source, bounds: Bounds) -> None:
        self._source, self._bounds, self._at = source, bounds, 0
        self._elements = 0

    def header(self) -> tuple[int, int, int]:
        if self._take(4) != MAGIC:
            raise UnreadableError("no GGUF file")
        version, tensors, pairs = struct.unpack("<IQQ", self._take(20))
        return version, tensors, pairs

    def string(self) -> str:
        size = self.number("<Q")
        if size > _MAX_STRING:
            raise UnreadableError(f"a string of {size} bytes")
        return self._take(size).decode("utf-8", "backslashreplace")

    def number(self, shape: str) -> int:
        (value,) = struct.unpack(shape, self._take(struct.calcsize(shape)))
        return int(value)

    def value(self, kind: int, depth: int) -> Iterator[str]:
        """Yield the strings of a value of that kind; numbers are stepped over."""
        if kind == _STRING:
            yield self.string()
        elif kind == _ARRAY and depth < _MAX_DEPTH:
            inner, count = self.number("<I"), self.number("<Q")
            self._elements += count
            if self._elements > _MAX_ELEMENTS:
                raise UnreadableError(f"arrays of more than {_MAX_ELEMENTS} elements")
            if inner in _SIZES:
                self._skip(count * _SIZES[inner])
                return
            for index in range(count):
                if index % 4096 == 0:
                    self._bounds.tick()
                yield from self.value(inner, depth + 1)
        elif kind in _SIZES:
            self._skip(_SIZES[kind])
        else:
            raise UnreadableError(f"a value of kind {kind}")

    def _take(self, size: int) -> bytes:
        taken = self._source.read(self._at, size)
        if len(taken) < size:
            raise UnreadableError("the metadata are cut off")
        self._at += size
        return taken

    def _skip(self, size: int) -> None:
        self._at += size
        if self._at > self._source.size:
            raise UnreadableError("the metadata are cut off")


def is_template_key(key: str) -> bool:
    """Tell whether a metadata key holds a chat template."""
    return "chat_template" in key


def json_templates(value: Any) -> Iterator[str]:
    """Yield the chat templates in a tokenizer's configuration: one string, or a list of named ones."""
    template = value.get("chat_template") if isinstance(value, dict) else None
    if isinstance(template, str):
        yield template
    elif isinstance(template, dict):
        yield from (text for text in template.values() if isinstance(text, str))
    elif isinstance(template, list):
        yield from (str(item.get("template", "")) for item in template if isinstance(item, dict))
