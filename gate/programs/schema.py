"""The JSON of a program (schema major 8) as frozen values: every unknown key, dtype, layout and size raises.

Symbolic shapes, guards and metadata are not read: shapes are concrete when the program runs, so no symbolic arithmetic
is ever needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch

from gate.programs import advice

if TYPE_CHECKING:
    from gate.programs.readers.pt2.cursor import Cursor

SCHEMA_MAJOR = 8
MAX_NODES = 20_000
MAX_RANK = 16

DTYPES: Final = {
    1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64, 6: torch.float16, 7: torch.float32,
    8: torch.float64, 12: torch.bool, 13: torch.bfloat16,
}  # fmt: skip
_OTHER_TYPES: Final = {
    **dict.fromkeys((9, 10, 11), "complex numbers"), 28: "uint16", 34: "uint32", 35: "uint64",
    **dict.fromkeys((29, 30, 31, 32, 33), "8-bit floating numbers"),
}  # fmt: skip
"""Names of further types, for refusals."""
MEMORY_FORMATS: Final = {
    1: torch.contiguous_format, 2: torch.channels_last, 3: torch.channels_last_3d, 4: torch.preserve_format,
}  # fmt: skip
STRIDED: Final = 7


@dataclass(frozen=True, slots=True)
class Name:
    """A reference to a value that an input or an earlier node defines."""

    name: str


@dataclass(frozen=True, slots=True)
class OwnDevice:
    """Stands for any device that the archive names: the program decides where it runs, not the file."""


Value = (
    None | bool | int | float | str | torch.dtype | torch.layout | torch.memory_format | Name | OwnDevice
    | tuple["Value", ...]
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class NamedValue:
    """One argument of a node under its name in the operator's schema."""

    name: str
    value: Value
    keyword: bool
    placed: bool = False
    """Whether the archive says that it is passed by position; older archives say nothing."""


@dataclass(frozen=True, slots=True)
class Output:
    """The name of one result of a node, or a name (or None) for each item of a list."""

    names: tuple[str | None, ...]
    is_list: bool


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A node as the archive describes it, its target not yet looked up."""

    target: str
    arguments: tuple[NamedValue, ...]
    outputs: tuple[Output | None, ...]
    where: str


@dataclass(frozen=True, slots=True)
class InputTensor:
    """A tensor that the caller passes: its shape, with None for symbolic sizes, and the shape at the export."""

    name: str
    shape: tuple[int | None, ...]
    exported_shape: tuple[int | None, ...]
    dtype: torch.dtype


@dataclass(frozen=True, slots=True)
class StateTensor:
    """A parameter, buffer or constant: the graph's name for it, and its qualified name in the module."""

    name: str
    kind: str
    """`parameter`, `buffer` or `constant`."""
    qualified_name: str
    persistent: bool
    requires_grad: bool = False
    """Whether other loaders give it gradients; the gate's reader never does."""


@dataclass(frozen=True, slots=True)
class ProgramRecord:
    """A whole program as the archive describes it."""

    inputs: tuple[InputTensor, ...]
    state: tuple[StateTensor, ...]
    nodes: tuple[NodeRecord, ...]
    outputs: tuple[str, ...]
    output_paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TensorRecord:
    """Place and layout of a tensor's bytes."""

    path_name: str
    dtype: torch.dtype
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    requires_grad: bool


_TENSOR_META = ("dtype", "sizes", "requires_grad", "device", "strides", "storage_offset", "layout")


def read_dtype(cursor: Cursor) -> torch.dtype:
    """Return the dtype of a code of the format; complex, quantised and 8-bit float types are refused."""
    dtype = DTYPES.get(cursor.integer())
    if dtype is None:
        named = _OTHER_TYPES.get(cursor.integer(), "no type that is known")
        raise cursor.refuse(f"the dtype code {cursor.value} is not read ({named})", what_to_do=advice.TYPES)
    return dtype


def read_tensor_config(document: Cursor) -> dict[str, TensorRecord]:
    """Return the tensors of a weights or constants configuration by qualified name; pickled ones are refused."""
    records: dict[str, TensorRecord] = {}
    for name, entry in document.object(("config",))["config"].mapping():
        fields = entry.object(("path_name", "is_param", "use_pickle", "tensor_meta"))
        if fields["use_pickle"].boolean():
            raise fields["use_pickle"].refuse("the tensor is pickled; expected raw bytes")
        meta = fields["tensor_meta"].object(_TENSOR_META)
        if meta["layout"].integer() != STRIDED:
            raise meta["layout"].refuse("expected a strided layout")
        records[name] = TensorRecord(
            path_name=fields["path_name"].string(),
            dtype=read_dtype(meta["dtype"]),
            sizes=tuple(_fixed(size) for size in meta["sizes"].items(MAX_RANK)),
            strides=tuple(_fixed(stride) for stride in meta["strides"].items(MAX_RANK)),
            offset=_fixed(meta["storage_offset"]),
            requires_grad=meta["requires_grad"].boolean(),
        )
    return records


def read_input(name: str, meta_cursor: Cursor) -> InputTensor:
    """Return the archive's description of a tensor that the caller passes."""
    meta = meta_cursor.object(_TENSOR_META)
    shape: list[int | None] = []
    exported: list[int | None] = []
    for size in meta["sizes"].items(MAX_RANK):
        kind, value = size.union()
        if kind == "as_int":
            shape.append(_fixed(size))
            exported.append(shape[-1])
        elif kind == "as_expr":
            shape.append(None)
            exported.append(_hint(value))
        else:
            raise size.refuse(f"unknown kind of size {kind!r}")
    return InputTensor(name, tuple(shape), tuple(exported), read_dtype(meta["dtype"]))


def _hint(expression: Cursor) -> int | None:
    """Return the concrete size behind a symbolic one; the expression itself is never looked at."""
    hint = expression.object(("expr_str",), ("hint",)).get("hint")
    if hint is None or hint.value is None:
        return None
    kind, value = hint.union()
    return value.integer() if kind == "as_int" else None


def _fixed(cursor: Cursor) -> int:
    """Return a size, stride or offset that must be a number."""
    kind, value = cursor.union()
    if kind != "as_int":
        raise cursor.refuse("expected a fixed number")
    number = value.integer()
    if number < 0:
        raise cursor.refuse(f"negative: {number}")
    return number
