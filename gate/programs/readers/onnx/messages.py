"""Bytes of a ModelProto under a positive grammar: which fields each message may set; any other is refused by name.

The messages are read by the classes of the `onnx` package, in the jail alone; nothing of its checker, loader or shape
inference runs. Functions, subgraphs, sparse and external tensors, and training are fields that no list below has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import onnx
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from gate.programs.readers.onnx.refused import OnnxRefusedError
from gate.programs.refused import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES: Final = 1 << 30
MAX_MESSAGES: Final = 500_000
_FIELDS: Final = {name: frozenset(fields.split()) for name, fields in {
    "ModelProto": "ir_version opset_import producer_name producer_version domain model_version doc_string graph "
    "metadata_props",
    "OperatorSetIdProto": "domain version",
    "StringStringEntryProto": "key value",
    "GraphProto": "node name initializer doc_string input output value_info metadata_props",
    "NodeProto": "input output name op_type domain attribute doc_string metadata_props",
    "AttributeProto": "name type doc_string f i s t floats ints strings",
    "TensorProto": "dims data_type name doc_string raw_data float_data int32_data int64_data double_data uint64_data "
    "data_location metadata_props",
    "ValueInfoProto": "name type doc_string metadata_props",
    "TypeProto": "tensor_type denotation",
    "Tensor": "elem_type shape",
    "TensorShapeProto": "dim",
    "Dimension": "dim_value dim_param denotation",
}.items()}  # fmt: skip
"""Fields by message; `Tensor` and `Dimension` are messages inside types and shapes."""


def parse(raw: bytes) -> onnx.ModelProto:
    """Return the message, in which every field that is set is on the list of its message."""
    if len(raw) > MAX_BYTES:
        raise OnnxRefusedError("model", f"{len(raw)} bytes; at most {MAX_BYTES} are read")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(raw)
    except DecodeError:
        raise OnnxRefusedError("model", "the bytes are no whole protobuf message") from None
    _require_known(model)
    return model


def _require_known(model: Any) -> None:
    """Walk through all messages without recursion, and refuse the first field that is not listed."""
    waiting = [(model, "model")]
    for count, (message, where) in enumerate(_each(waiting)):
        if count > MAX_MESSAGES:
            raise OnnxRefusedError("model", f"more than {MAX_MESSAGES} messages")
        kind = message.DESCRIPTOR.name
        allowed = _FIELDS.get(kind, frozenset())
        if len(UnknownFieldSet(message)):
            raise OnnxRefusedError(where, f"{kind} has a field that this version of ONNX does not know")
        for field, value in message.ListFields():
            if field.name not in allowed or (field.name == "data_location" and value != 0):
                raise OnnxRefusedError(where, f"{kind} has the field {field.name!r}, which is not read")
            if field.message_type is not None:
                inner = value if field.is_repeated else (value,)
                waiting.extend((one, f"{_place(where)}.{field.name}{_named(one)}") for one in inner)


def _each(waiting: list[tuple[Any, str]]) -> Iterator[tuple[Any, str]]:
    while waiting:
        yield waiting.pop()


def _place(where: str) -> str:
    return where.rpartition(".")[2]


def _named(message: Any) -> str:
    name = getattr(message, "name", "")
    return f"[{printable(name, 80)}]" if isinstance(name, str) and name else ""
