"""The signature of an `MLmodel` as frozen, bounded records, and back as the texts that MLflow reads.

Every consumer's `mlflow.pyfunc` enforces this claim of the candidate, so a bundle keeps it. The records have the shape
of MLflow's own JSON (2.9 to 3.17, `mlflow/types/schema.py`) and refuse what MLflow's reader would refuse or take
differently.
"""

import datetime as dt
import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from gate.records.errors import GateError
from gate.records.fields import is_none
from gate.records.record import MalformedError, Record, parse_json

PARTS: Final = ("inputs", "outputs", "params")
MAX_SPECS: Final = 10_000
"""Columns, tensors or parameters in one part."""
MAX_NAME: Final = 256
MAX_RANK: Final = 32
MAX_NESTING: Final = 8
"""Levels of arrays, maps and objects in a column."""
MAX_ITEMS: Final = 1000
"""Items of a parameter's default, or properties of an object."""
MAX_TEXT: Final = 10_000
MAX_BYTES: Final = 384 << 10
"""Bytes of the three texts together, as YAML quotes them; no `MLmodel` above 512 KiB is read."""

_SCALARS = Literal["boolean", "integer", "long", "float", "double", "string", "binary", "datetime"]
_KINDS = Literal[_SCALARS, "array", "map", "object", "any", "sparkml_vector"]
_DTYPE = (
    r"^(bool|u?int(8|16|32|64)|float(16|32|64)|complex(64|128)|str|bytes|object"
    r"|(datetime|timedelta)64(\[(Y|M|W|D|h|m|s|ms|us|ns)\])?)$"
)


class SignatureError(GateError):
    """A signature that MLflow does not write or the gate does not understand, with the place."""

    what_to_do = "Log the model again with the signature that mlflow.models.infer_signature gives for its input."


class _Part(Record):
    """A part of a signature, without coercion of types."""

    model_config = ConfigDict(strict=True)


def _printable(name: str | int | None) -> str | int | None:
    if isinstance(name, str) and not name.isprintable():
        raise ValueError("a name holds a character that cannot be printed")
    return name


_Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)] | Annotated[int, Field(ge=0, lt=2**31)]
"""A name, or a number where a data frame numbers its columns."""


class ColumnType(_Part):
    """The type of a column's values, nested for arrays, maps and objects."""

    type: _KINDS
    items: "ColumnType | None" = Field(default=None, exclude_if=is_none)
    values: "ColumnType | None" = Field(default=None, exclude_if=is_none)
    properties: dict[Annotated[str, Field(min_length=1, max_length=MAX_NAME)], "Property"] | None = Field(
        default=None, min_length=1, max_length=MAX_ITEMS, exclude_if=is_none
    )

    @model_validator(mode="after")
    def _of_its_kind(self) -> Self:
        inner = {"array": self.items, "map": self.values, "object": self.properties}
        for kind, value in inner.items():
            if (value is not None) != (self.type == kind):
                raise ValueError("an array has items, a map has values, an object has properties, and nothing else has")
        for name in self.properties or ():
            _printable(name)
        if self.nesting() > MAX_NESTING:
            raise ValueError(f"types are nested deeper than {MAX_NESTING}")
        return self

    def nesting(self) -> int:
        """Return the number of levels of types."""
        inner = [one for one in (self.items, self.values, *(self.properties or {}).values()) if one is not None]
        return 1 + max((one.nesting() for one in inner), default=0)


class Property(ColumnType):
    """One entry of an object, by its name."""

    required: bool = True


class Column(ColumnType):
    """One column of a data frame."""

    name: _Name | None = Field(default=None, exclude_if=is_none)
    required: bool = True

    _name_is_printable = field_validator("name")(_printable)


class TensorInfo(_Part):
    """Type and shape of a tensor; -1 is any size."""

    dtype: str = Field(pattern=_DTYPE)
    shape: tuple[Annotated[int, Field(ge=-1, lt=2**48)], ...] = Field(max_length=MAX_RANK)


class Tensor(_Part):
    """One tensor."""

    name: _Name | None = Field(default=None, exclude_if=is_none)
    type: Literal["tensor"] = "tensor"
    info: TensorInfo = Field(alias="tensor-spec")

    _name_is_printable = field_validator("name")(_printable)

    @property
    def required(self) -> bool:
        """Every tensor is."""
        return True


_Value = None | bool | Annotated[int, Field(ge=-(2**63), lt=2**63)] | float | Annotated[str, Field(max_length=MAX_TEXT)]


class Parameter(_Part):
    """A parameter of prediction, with its default."""

    name: str = Field(min_length=1, max_length=MAX_NAME)
    default: _Value | Annotated[tuple[_Value, ...], Field(max_length=MAX_ITEMS)]
    shape: tuple[Literal[-1]] | None = None
    type: _SCALARS

    _name_is_printable = field_validator("name")(_printable)

    @model_validator(mode="after")
    def _default_is_of_the_type(self) -> Self:
        if self.type == "binary":
            raise ValueError("a parameter is not binary")
        if isinstance(self.default, tuple) != (self.shape is not None):
            raise ValueError("the default is a list where the shape is [-1], and else a single value")
        values = self.default if isinstance(self.default, tuple) else (self.default,)
        if not all(_is_of(self.type, value) for value in values):
            raise ValueError(f"the default is not of the type {self.type}")
        return self


def _is_of(kind: str, value: Any) -> bool:
    """Tell whether MLflow accepts a default for that type; None means no default."""
    if value is None:
        return True
    if kind == "boolean":
        return isinstance(value, bool)
    if kind in ("integer", "long"):
        return type(value) is int
    if kind in ("float", "double"):
        return type(value) in (int, float)
    return isinstance(value, str) and (kind == "string" or _is_time(value))


def _is_time(text: str) -> bool:
    try:
        return dt.datetime.fromisoformat(text).tzinfo is None and text.isascii() and text[4:5] == "-"
    except ValueError:
        return False


def _kind_of(value: Any) -> str:
    named = value.get("type") if isinstance(value, Mapping) else getattr(value, "type", None)
    return "tensor" if named == "tensor" else "column"


Spec = Annotated[Annotated[Tensor, Tag("tensor")] | Annotated[Column, Tag("column")], Discriminator(_kind_of)]
_Schema = Annotated[tuple[Spec, ...], Field(min_length=1, max_length=MAX_SPECS)]


class Signature(_Part):
    """Inputs, outputs and parameters of a model; None is not stated."""

    inputs: _Schema | None = None
    outputs: _Schema | None = None
    params: Annotated[tuple[Parameter, ...], Field(min_length=1, max_length=MAX_SPECS)] | None = None

    @field_validator("inputs", "outputs")
    @classmethod
    def _one_reading(cls, specs: tuple[Tensor | Column, ...] | None) -> tuple[Tensor | Column, ...] | None:
        if fault := _fault(specs or ()):
            raise ValueError(fault)
        return specs

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.inputs is None and self.outputs is None and self.params is None:
            raise ValueError("the signature states no inputs, outputs or params")
        names = [param.name for param in self.params or ()]
        if len(set(names)) < len(names):
            raise ValueError("two parameters have one name")
        if sum(len(text) + text.count("'") for text in self.texts().values() if text) > MAX_BYTES:
            raise ValueError(f"the signature is larger than {MAX_BYTES >> 10} KiB")
        return self

    def without_params(self) -> "Signature | None":
        """Return the inputs and outputs alone; None where neither is stated."""
        if self.inputs is None and self.outputs is None:
            return None
        return Signature(inputs=self.inputs, outputs=self.outputs)

    def texts(self) -> dict[str, str | None]:
        """Return the value of `signature` in an `MLmodel`: each part as MLflow's JSON text, or None."""
        return {part: _text(getattr(self, part)) for part in PARTS}


def _text(specs: tuple[Record, ...] | None) -> str | None:
    if specs is None:
        return None
    return json.dumps([spec.model_dump(mode="json", by_alias=True) for spec in specs], allow_nan=False)


def _fault(specs: tuple[Tensor | Column, ...]) -> str:
    """Return why MLflow would refuse these together or read them in two ways; empty where it would not."""
    unnamed = [spec for spec in specs if spec.name is None]
    if len({type(spec) for spec in specs}) > 1:
        return "tensors and columns stand together"
    if unnamed and len(unnamed) < len(specs):
        return "some have names and some have none"
    if len(unnamed) > 1 and isinstance(unnamed[0], Tensor):
        return "several tensors have no names"
    if any(not spec.required for spec in unnamed):
        return "what has no name is optional"
    names = [str(spec.name) for spec in specs if spec.name is not None]
    return "two have one name" if len(set(names)) < len(names) else ""


def read_signature(value: Any) -> Signature:
    """Return the `signature` of an `MLmodel` as a record; what the gate does not understand is a `SignatureError`."""
    if not isinstance(value, Mapping) or not set(value) <= set(PARTS):
        raise SignatureError("the signature is no mapping of inputs, outputs and params")
    try:
        parts = {part: _read_part(value[part], f"signature.{part}") for part in PARTS if value.get(part) is not None}
        return Signature.from_json(json.dumps(parts).encode(), what="the signature of the MLmodel")
    except MalformedError as error:
        raise SignatureError(str(error)) from None


def _read_part(text: Any, where: str) -> list[Any]:
    if not isinstance(text, str):
        raise SignatureError(f"{where}: expected a JSON text, got {type(text).__name__}")
    value = parse_json(text.encode("utf-8", "replace"), what=where, limit=MAX_BYTES)
    if not isinstance(value, list):
        raise SignatureError(f"{where}: expected a JSON list of specifications, got {type(value).__name__}")
    return [_modern(spec) for spec in value]


def _modern(spec: Any) -> Any:
    """Return a column as MLflow writes it today: up to 2.9, `required: false` was `optional: true`."""
    if not isinstance(spec, dict) or not isinstance(spec.get("optional"), bool):
        return spec
    required = not spec["optional"]
    if spec.get("required", required) is not required:
        return spec  # the two contradict each other, and the schema then refuses the older one
    return {key: value for key, value in spec.items() if key != "optional"} | {"required": required}
