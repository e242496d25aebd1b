"""Arguments and results of nodes: the format's tagged unions as plain values, each kind read by its own function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from gate.programs import advice
from gate.programs.schema import MEMORY_FORMATS, STRIDED, Name, NamedValue, Output, OwnDevice, Value, read_dtype

if TYPE_CHECKING:
    from collections.abc import Callable

    from gate.programs.readers.pt2.cursor import Cursor

_PLACED, _KEYWORD = 1, 2


def read_argument(cursor: Cursor) -> NamedValue:
    """Return a node's argument with its name in the operator's schema."""
    fields = cursor.object(("name", "arg"), ("kind",))
    name = fields["name"].string()
    kind = fields["kind"].value if "kind" in fields else None
    if kind is not None and (type(kind) is not int or kind not in {_PLACED, _KEYWORD}):
        raise cursor.refuse(f"unknown kind of argument {kind!r}")
    return NamedValue(name, read_value(fields["arg"]), keyword=kind == _KEYWORD, placed=kind == _PLACED)


def read_value(cursor: Cursor) -> Value:
    """Return the value of an argument, or refuse its kind."""
    kind, value = cursor.union()
    read = _READERS.get(kind)
    if read is None:
        raise cursor.refuse(f"the argument kind {kind!r} is not read", what_to_do=_ADVICE.get(kind, ""))
    return read(value)


def read_output(cursor: Cursor) -> Output | None:
    """Return the names that a node's result defines; None for a result that nothing can refer to."""
    kind, value = cursor.union()
    if kind == "as_tensor":
        return Output((_tensor(value).name,), is_list=False)
    if kind in {"as_sym_int", "as_sym_float", "as_sym_bool"}:
        tag, name = value.union()
        if tag != "as_name":
            raise cursor.refuse("a result needs a name")
        return Output((name.identifier(),), is_list=False)
    if kind == "as_tensors":
        return Output(tuple(_tensor(item).name for item in value.items()), is_list=True)
    if kind == "as_optional_tensors":
        return Output(tuple(_optional_name(item) for item in value.items()), is_list=True)
    if kind == "as_none":
        return None
    raise cursor.refuse(f"the result kind {kind!r} is not read")


def _tensor(cursor: Cursor) -> Name:
    return Name(cursor.object(("name",))["name"].identifier())


def _none(cursor: Cursor) -> None:
    cursor.boolean()


def _optional_tensor(cursor: Cursor) -> Name | None:
    kind, value = cursor.union()
    if kind == "as_none":
        return None
    if kind != "as_tensor":
        raise cursor.refuse(f"expected a tensor or nothing, got {kind!r}")
    return _tensor(value)


def _optional_name(cursor: Cursor) -> str | None:
    reference = _optional_tensor(cursor)
    return None if reference is None else reference.name


def _symbolic(tag: str, read: Callable[[Cursor], Value]) -> Callable[[Cursor], Value]:
    """Return a reader of a number that an earlier node may have computed."""

    def read_symbolic(cursor: Cursor) -> Value:
        kind, value = cursor.union()
        if kind == "as_name":
            return Name(value.identifier())
        if kind != tag:
            raise cursor.refuse(f"expected a name or {tag!r}, got {kind!r}")
        return read(value)

    return read_symbolic


def _many(read: Callable[[Cursor], Value]) -> Callable[[Cursor], Value]:
    return lambda cursor: tuple(read(item) for item in cursor.items())


def _memory_format(cursor: Cursor) -> torch.memory_format:
    code = cursor.integer()
    if code not in MEMORY_FORMATS:
        raise cursor.refuse(f"unknown memory format {code}")
    return MEMORY_FORMATS[code]


def _layout(cursor: Cursor) -> torch.layout:
    if cursor.integer() != STRIDED:
        raise cursor.refuse("expected a strided layout")
    return torch.strided


def _device(cursor: Cursor) -> OwnDevice:
    cursor.object(("type",), ("index",))
    return OwnDevice()


_integer = _symbolic("as_int", lambda cursor: cursor.integer())
_float = _symbolic("as_float", lambda cursor: cursor.float())
_boolean = _symbolic("as_bool", lambda cursor: cursor.boolean())

_ADVICE: Final = {"as_complex": advice.TYPES, "as_custom_obj": advice.FOREIGN, "as_graph": advice.WHOLE}
"""Advice for kinds that are known and not read."""
_READERS: dict[str, Callable[[Cursor], Value]] = {
    "as_none": _none,
    "as_tensor": _tensor,
    "as_tensors": _many(_tensor),
    "as_optional_tensor": _optional_tensor,
    "as_optional_tensors": _many(_optional_tensor),
    "as_int": lambda cursor: cursor.integer(),
    "as_ints": _many(lambda cursor: cursor.integer()),
    "as_float": lambda cursor: cursor.float(),
    "as_floats": _many(lambda cursor: cursor.float()),
    "as_bool": lambda cursor: cursor.boolean(),
    "as_bools": _many(lambda cursor: cursor.boolean()),
    "as_string": lambda cursor: cursor.string(),
    "as_sym_int": _integer,
    "as_sym_ints": _many(_integer),
    "as_sym_float": _float,
    "as_sym_floats": _many(_float),
    "as_sym_bool": _boolean,
    "as_sym_bools": _many(_boolean),
    "as_scalar_type": read_dtype,
    "as_memory_format": _memory_format,
    "as_layout": _layout,
    "as_device": _device,
}
