"""ONNX models by their wire format: the operator domains and the outside files that they name.

The parser knows protobuf's wire types and the few field numbers that lead to nodes, functions and tensors. It follows
nesting to a bound, and raises `UnreadableError` for anything that is no well-formed message.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from gate.formats.source import Bounds, UnreadableError

STANDARD_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training"})
MAX_BYTES = 1 << 30
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT = 10
_MAX_DEPTH = 24
_MAX_FIELDS = 5_000_000

# Messages inside messages: kind of message → field number → kind of the message in that field.
_NESTED = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "tensor": {13: "entry"},
}
_DOMAIN_FIELD = {"node": 7, "function": 10}
_MAX_IR_VERSION = 64


@dataclass(frozen=True)
class OnnxFacts:
    """The names in an ONNX model that go beyond the standard and beyond the file."""

    operators: tuple[str, ...]
    """Operators of other domains, as `domain.Name`, once each."""
    external: tuple[str, ...]
    """Locations of tensor data outside the file, once each."""
    has_graph: bool


def looks_like_onnx(head: bytes) -> bool:
    """Tell whether bytes begin as a model: the version of the format in field 1, then another known field."""
    version, following = head[1:2], head[2:3]
    stated = head[:1] == b"\x08" and b"\x00" < version <= bytes([_MAX_IR_VERSION])
    return stated and following in (b"\x12", b"\x1a", b"\x22", b"\x3a", b"\x42")


def read_onnx(raw: bytes, bounds: Bounds) -> OnnxFacts:
    """Return the names in the model, or raise `UnreadableError`."""
    reader = _Reader(memoryview(raw), bounds)
    reader.message("model", 0, len(raw), 0)
    return OnnxFacts(tuple(reader.operators), tuple(reader.external), reader.has_graph)


class _Reader:
    def __init__(self, raw: memoryview, bounds: Bounds) -> None:
        self._raw = raw
        self._bounds = bounds
        self._count = 0
        self.operators: dict[str, None] = {}
        self.external: dict[str, None] = {}
        self.has_graph = False

    def message(self, kind: str, begin: int, end: int, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise UnreadableError(f"messages nested deeper than {_MAX_DEPTH}")
        strings: dict[int, str] = {}
        nested = _NESTED.get(kind, {})
        for number, first, last in self._fields(begin, end):
            if number in nested:
                self.has_graph = self.has_graph or (kind == "model" and nested[number] == "graph")
                self.message(nested[number], first, last, depth + 1)
            elif last - first <= 4096:  # no name or path is longer
                strings[number] = bytes(self._raw[first:last]).decode("utf-8", "backslashreplace")
            elif number == _DOMAIN_FIELD.get(kind) or kind == "entry":
                raise UnreadableError("a name of more than 4096 bytes")
        if kind in _DOMAIN_FIELD and strings.get(_DOMAIN_FIELD[kind], "") not in STANDARD_DOMAINS:
            name = strings.get(4 if kind == "node" else 1, "")
            self.operators[f"{strings[_DOMAIN_FIELD[kind]]}.{name}"] = None
        if kind == "entry" and strings.get(1) == "location":
            self.external[strings.get(2, "")] = None

    def _fields(self, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Yield number, begin and end of each length-delimited field; skip the others."""
        at = begin
        while at < end:
            self._count += 1
            if self._count % 4096 == 0:
                self._bounds.tick()
            if self._count > _MAX_FIELDS:
                raise UnreadableError(f"more than {_MAX_FIELDS} fields")
            key, at = self._varint(at, end)
            number, wire = key >> 3, key & 7
            if not number:
                raise UnreadableError("a field without a number")
            if wire == _VARINT:
                _, at = self._varint(at, end)
            elif wire in (_FIXED64, _FIXED32):
                at += 8 if wire == _FIXED64 else 4
            elif wire == _BYTES:
                size, at = self._varint(at, end)
                if size > end - at:
                    raise UnreadableError("a field longer than its message")
                yield number, at, at + size
                at += size
            else:
                raise UnreadableError(f"wire type {wire}")
        if at != end:
            raise UnreadableError("a field longer than its message")

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = 0
        for index in range(_MAX_VARINT):
            if at + index >= end:
                raise UnreadableError("the message is cut off")
            byte = self._raw[at + index]
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:  # the last byte of a varint has its top bit clear
                return value, at + index + 1
        raise UnreadableError("an integer of more than 64 bits")
