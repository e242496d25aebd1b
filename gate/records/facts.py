"""What is known of a candidate by reading and running it: its kind, shapes and outputs."""

from collections.abc import Mapping
from operator import not_
from typing import Final, Literal

from pydantic import Field

from gate.records.adapters import AdapterFacts
from gate.records.declarations import Space
from gate.records.fields import Text, is_none
from gate.records.languages import LanguageFacts
from gate.records.record import Record

EXAMINED_FLAVOURS = ("pytorch", "onnx")
"""The flavour whose models are loaded and measured."""
PIPELINES = "transformers"
"""The flavour of pipelines; those of some tasks are examined, and an inspector names another's task beside it."""

ADAPTER = "adapter"
"""What an inspector names an adapter of low rank, however it was saved: no flavour of MLflow."""
LANGUAGE = "language model"
"""What an inspector names a whole language model, likewise."""
BESIDE_BASE: Final[Mapping[str, str]] = {ADAPTER: "adapter", LANGUAGE: "language"}
"""The policies for kinds that are judged by their files beside a base, by what an inspector names these."""

FEW_CLASSES = 8
"""With fewer classes an outlier test in one model has no power or level (docs/reference/contracts.md, section 7)."""


class OutputFacts(Record):
    """One output of the candidate, by the name that its caller uses, and its role in the scan."""

    name: str = Field(max_length=200)
    """Name such as `logits` or `[0]`; `output` for a single tensor."""
    shape: tuple[int, ...] = Field(default=(), max_length=16)
    """Shape of one sample."""
    dtype: str = Field(default="", max_length=40)
    role: Literal["judged", "same-decision", "constant", "not-examined"]
    """`same-decision`: proved on the graph to choose the same class as the judged one."""
    note: Text = ""

    def __str__(self) -> str:
        form = " × ".join(map(str, self.shape)) or "one number"
        return f"{form} a sample, {self.dtype}" + (f", {self.note}" if self.note else "")


class ModelFacts(Record):
    """Properties of the candidate, as the worker found them."""

    flavour: Text = ""
    """Flavour that was read; of an unread model, those of its `MLmodel`, with commas."""
    format: Text = ""
    classes: int | None = Field(default=None, ge=1)
    space: Space = Field(default="images", exclude_if=lambda value: value == "images")
    """What the model takes; of one that was not read, images."""
    input_shape: tuple[int, ...] = ()
    """Shape without the batch dimension; of tokens, the most that are given of one text."""
    parameters: int | None = Field(default=None, ge=0)
    feature_layer: Text = ""
    outputs: tuple[OutputFacts, ...] = Field(default=(), max_length=64, exclude_if=not_)
    number_type: Text = Field(default="", exclude_if=not_)
    """Number type of the input, if not float32, and the source of gradients."""
    arithmetic: Text = Field(default="", exclude_if=not_)
    """How searches and probes ran the model, if otherwise than as it was read; what they find is measured again."""
    input_axes: Literal["", "NHWC", "NHW"] = Field(default="", exclude_if=not_)
    """Axes in which the model takes pictures, if not (N, C, H, W); samples and triggers are turned at its input."""
    samples_alone: bool = Field(default=False, exclude_if=not_)
    """Whether samples were examined singly, because others in a batch may change an answer."""
    padding_counts: bool = Field(default=False, exclude_if=not_)
    """Whether texts were answered otherwise where a batch filled them up; detectors measure without padding."""

    adapter: AdapterFacts | None = Field(default=None, exclude_if=is_none)
    """What is known of an adapter of low rank; None of every other model."""
    language: LanguageFacts | None = Field(default=None, exclude_if=is_none)
    """What is known of a whole language model; None of every other model."""

    @property
    def beside_base(self) -> bool:
        """Whether it is judged by its files beside a base: an adapter, or a whole language model."""
        return self.adapter is not None or self.language is not None

    @property
    def few_classes(self) -> bool:
        """Whether it has too few classes for limits that compare its classes; of tokens, words are compared."""
        return self.space == "images" and self.classes is not None and self.classes < FEW_CLASSES

    @property
    def unexaminable(self) -> bool:
        """Whether the model declares flavours, but none whose behaviour any detector examines."""
        return bool(self.flavour) and not {*EXAMINED_FLAVOURS, PIPELINES} & set(self.flavour.split(", "))

    @property
    def is_pipeline(self) -> bool:
        """Whether the model is a pipeline of transformers whose task is examined, and nothing else."""
        return self.flavour == PIPELINES

    @property
    def judged(self) -> OutputFacts | None:
        """The output that was examined; None in earlier evidence, or where none could be."""
        return next((output for output in self.outputs if output.role == "judged"), None)
