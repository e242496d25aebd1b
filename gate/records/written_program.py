"""What the trusted writer says of the program that it wrote, from which the bundle's texts are composed.

A worker's claim, and so bounded like any other: the writer has read a hostile program, by the strict reader.
"""

from operator import not_
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from gate.records.bundle import Origin
from gate.records.class_names import ClassNames
from gate.records.fields import Digest, Sha256, is_none
from gate.records.record import Record
from gate.records.signature import Signature

MAX_INPUTS: Final = 64
MAX_RANK: Final = 16

DType = Literal["uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64", "bool", "bfloat16"]


class TensorInput(Record):
    """One tensor that the program takes."""

    name: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,255}$")
    shape: tuple[Annotated[int, Field(ge=0, lt=2**31)] | None, ...] = Field(max_length=MAX_RANK)
    """Sizes, with None for any size."""
    dtype: DType

    @property
    def free_batch(self) -> bool:
        """Whether any number of samples may be passed at once."""
        return bool(self.shape) and self.shape[0] is None


class Composed(Record):
    """How a pipeline's network was composed, and what happens to images or texts before it."""

    network: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9]{0,100}$")
    """Class of transformers."""
    version: str = Field(max_length=64)
    """Version of transformers that composed it."""
    claimed: str = Field(max_length=200)
    """Version that the candidate names."""
    resized: str = Field(default="", max_length=200)
    """How an image comes to the size that the program takes; empty where it keeps its own."""
    longest: int | None = Field(default=None, ge=1, lt=1 << 31, exclude_if=is_none)
    """Most tokens of a text; None for images."""


class WrittenTokenizer(Record):
    """The tokenizer that the writer wrote beside a program of token ids."""

    sha256: Sha256
    """Digest of the bundle's `extra_files/tokenizer.json`."""
    longest: int = Field(ge=1, lt=1 << 31)
    """Most tokens of a text."""
    padding: int = Field(ge=0, lt=1 << 31)
    """Id that stands where the mask is 0."""


class Written(Record):
    """One program that the writer wrote."""

    origin: Origin
    format: str = Field(max_length=200)
    """Format that was read, such as `pt2`."""
    program_sha256: Sha256
    """Digest of the bundle's `data/model.pt2`."""
    parent: Digest
    """Digest of the candidate's program as it was read."""
    inputs: tuple[TensorInput, ...] = Field(min_length=1, max_length=MAX_INPUTS)
    signature: Signature | None = None
    signature_dropped: str = Field(default="", max_length=500)
    candidate_torch: str = Field(default="", pattern=r"^[0-9A-Za-z.+_-]{0,64}$")
    """Torch version in the candidate's `MLmodel`; empty where it states none."""
    class_names: ClassNames = Field(default_factory=dict)
    returned: str = Field(default="", pattern=r"^([A-Z][A-Za-z0-9]{0,150})?$", exclude_if=not_)
    """Class of transformers that the candidate returns; the bundle returns its fields in plain containers."""
    composed: Composed | None = Field(default=None, exclude_if=is_none)
    tokenizer: WrittenTokenizer | None = Field(default=None, exclude_if=is_none)
    greatest_difference: float = Field(ge=0, allow_inf_nan=False)
    """Greatest difference between the candidate's and the written program's outputs, on the same inputs."""

    @model_validator(mode="after")
    def _inputs_have_their_names(self) -> "Written":
        if len({one.name for one in self.inputs}) < len(self.inputs):
            raise ValueError("two inputs have one name")
        return self
