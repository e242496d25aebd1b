"""Evidence: all that was seen, in plain finite values, with no opinion on any of it.

Detectors yield measurements, pictures and projections; `scan` files them under outcomes; `verdict.judge` reads them.
The file `evidence.json` is this record (docs/reference/contracts.md, section 4), so a verdict can be given again
without a scan.
"""

import base64
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from gate.records.artifact import ModelRef
from gate.records.bank_evidence import BankEvidence
from gate.records.bundle import BundleFacts
from gate.records.fields import Digest, Finite, MetricId, Text
from gate.records.provenance import RepairOrigin
from gate.records.record import Record
from gate.records.samples_evidence import SamplesEvidence

MAX_PICTURES = 64
MAX_PICTURE_SIDE = 256
MAX_PROJECTION_POINTS = 2000
EXAMINED_FLAVOUR = "pytorch"
"""The flavour whose models are loaded and measured; `gate.formats.mlflow_model` holds its grammar."""

FEW_CLASSES = 8
"""Below so many classes an outlier test in one model has no power or level (docs/reference/contracts.md, section 7)."""

Assurance = Literal["A", "B", "C"]
LocationKind = Literal["file", "layer", "node", "neuron", "class", "pair"]


_ISOLATION = ("none", "partial", "full")


DROPPED = "nobody: user rights dropped"
"""As whom the workers of a gate ran that is root itself."""


def least_dropped(*users: str) -> str:
    """Return of several workers' users the one that has most rights; empty where the gate is an ordinary user."""
    return next((user for user in users if user and user != DROPPED), DROPPED if any(users) else "")


def isolation_rank(isolation: str) -> int:
    """Return how strong an isolation is by its first word, weakest first; an unknown word is weaker than none."""
    word = isolation.split(" ", maxsplit=1)[0]
    return _ISOLATION.index(word) if word in _ISOLATION else -1


class Location(Record):
    """Where something was measured; a pair is named `source→target`."""

    kind: LocationKind
    name: Text

    @classmethod
    def of_class(cls, index: int) -> Self:
        """Return the location of a class by its index."""
        return cls(kind="class", name=str(index))

    @classmethod
    def of_pair(cls, source: int, target: int) -> Self:
        """Return the location of a pair of classes, samples of the first being sent to the second."""
        return cls(kind="pair", name=f"{source}→{target}")

    @property
    def class_index(self) -> int | None:
        """The (target) class of a class or pair, else None."""
        if self.kind not in ("class", "pair"):
            return None
        tail = self.name.rsplit("→", maxsplit=1)[-1]
        return int(tail) if tail.isascii() and tail.isdigit() else None

    @property
    def source_index(self) -> int | None:
        """The source class of a pair, else None."""
        head, arrow, _ = self.name.partition("→")
        return int(head) if self.kind == "pair" and arrow and head.isascii() and head.isdigit() else None

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Measurement(Record):
    """One finite number that a detector measured."""

    metric: MetricId
    value: Finite
    location: Location | None = None
    note: Text = ""


class Picture(Record):
    """A small image for the report: uint8 samples, rows first, base64; the front makes the PNG itself."""

    role: Literal["mask", "pattern", "trigger", "sample", "triggered", "inversion", "difference"]
    location: Location | None = None
    caption: Text = ""
    detector: str = Field(default="", max_length=64, exclude_if=lambda value: not value)
    """Which detector made it; the scan fills it in. Empty in evidence of an earlier gate."""
    height: int = Field(ge=1, le=MAX_PICTURE_SIDE)
    width: int = Field(ge=1, le=MAX_PICTURE_SIDE)
    channels: Literal[1, 3]
    pixels: str = Field(max_length=MAX_PICTURE_SIDE * MAX_PICTURE_SIDE * 3 * 4 // 3 + 4)

    @model_validator(mode="after")
    def _size_holds(self) -> Self:
        if len(base64.b64decode(self.pixels, validate=True)) != self.height * self.width * self.channels:
            raise ValueError("the pixels do not fill height × width × channels")
        return self

    def raw(self) -> bytes:
        """Return the pixels as bytes, row by row."""
        return base64.b64decode(self.pixels)


class Point(Record):
    """One sample in a two-dimensional projection."""

    x: Finite
    y: Finite
    group: Text
    """What the sample is: clean, triggered, …"""
    cluster: int


class Projection(Record):
    """Samples of one class drawn in two dimensions, for the report's cluster plot."""

    location: Location
    method: Text
    points: tuple[Point, ...] = Field(max_length=MAX_PROJECTION_POINTS)


class Unmeasured(Record):
    """A metric that a detector could not measure on this model and these samples: the reason, and no excuse."""

    metric: MetricId
    reason: Text
    least_classes: int | None = Field(default=None, ge=2, le=FEW_CLASSES, exclude_if=lambda value: value is None)
    """The metric exists from so many classes on, and the model has fewer: nothing that could have been measured."""

    def undefined(self, classes: int | None) -> bool:
        """Tell whether the metric does not exist for a model of so many classes, as the detector's spec says."""
        return self.least_classes is not None and classes is not None and classes < self.least_classes


class Measured(Record):
    """A detector ran to its end."""

    status: Literal["measured"] = "measured"
    measurements: tuple[Measurement, ...]
    seconds: Finite = Field(ge=0)
    sample_passes: int = Field(ge=0, default=0)
    """One sample through forward, or through forward and backward, counts one."""
    options: dict[str, Any] = Field(default_factory=dict)
    unmeasured: tuple[Unmeasured, ...] = Field(default=(), max_length=64)

    @model_serializer(mode="wrap")
    def _without_nothing(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave the gaps out where there are none, so that earlier evidence keeps its digest."""
        fields: dict[str, Any] = handler(self)
        return fields if self.unmeasured else {name: fields[name] for name in fields if name != "unmeasured"}


class Skipped(Record):
    """A detector was not run, and why."""

    status: Literal["skipped"] = "skipped"
    reason: Text
    options: dict[str, Any] = Field(default_factory=dict)


class Failed(Record):
    """A detector, its worker or its result broke, and how."""

    status: Literal["failed"] = "failed"
    error: Text
    seconds: Finite = Field(ge=0, default=0.0)
    options: dict[str, Any] = Field(default_factory=dict)


Outcome = Annotated[Measured | Skipped | Failed, Field(discriminator="status")]


class Suspect(Record):
    """A class or pair that a stage named for the next one."""

    stage: int = Field(ge=1)
    detector: str
    metric: str
    value: Finite
    location: Location


class OutputFacts(Record):
    """One output of the candidate, under the name by which its caller gets it, and what the gate did with it."""

    name: str = Field(max_length=200)
    """Such as `logits` or `[0]`; `output` where there is one tensor alone."""
    shape: tuple[int, ...] = Field(default=(), max_length=16)
    """Of one sample."""
    dtype: str = Field(default="", max_length=40)
    role: Literal["judged", "same-decision", "constant", "not-examined"]
    """`same-decision`: proved on the graph to choose the class that the judged one does."""
    note: Text = ""

    def __str__(self) -> str:
        form = " × ".join(map(str, self.shape)) or "one number"
        return f"{form} a sample, {self.dtype}" + (f", {self.note}" if self.note else "")


class ModelFacts(Record):
    """What the candidate turned out to be, measured by the worker."""

    flavour: Text = ""
    """As it was read; of a model that was not, what its `MLmodel` declares, with commas."""
    format: Text = ""
    classes: int | None = Field(default=None, ge=1)
    input_shape: tuple[int, ...] = ()
    """Without the batch dimension."""
    parameters: int | None = Field(default=None, ge=0)
    feature_layer: Text = ""
    outputs: tuple[OutputFacts, ...] = Field(default=(), max_length=64, exclude_if=lambda value: not value)
    """Left out where it is empty, so that earlier evidence keeps its digest."""
    number_type: Text = Field(default="", exclude_if=lambda value: not value)
    """In which the model takes its input, where that is not float32, and where its gradients come from."""
    samples_alone: bool = Field(default=False, exclude_if=lambda value: not value)
    """Whether each sample was examined by itself, since nothing shows that those beside it leave its answer alone."""

    @property
    def unexaminable(self) -> bool:
        """Whether the model declares flavours, and none that any detector of behaviour examines."""
        return bool(self.flavour) and EXAMINED_FLAVOUR not in self.flavour.split(", ")

    @property
    def judged(self) -> OutputFacts | None:
        """The output that was examined; None in evidence of a gate that did not say, or where nothing could be."""
        return next((output for output in self.outputs if output.role == "judged"), None)


class Evidence(Record):
    """Everything that one scan saw."""

    schema_version: Literal[1] = 1
    gate_version: str
    model: ModelRef
    manifest_digest: Digest
    bundle_digest: Digest | None = None
    """Of the bundle that was measured; None where none could be written, or the gate was one that wrote none."""
    bundle: BundleFacts | None = Field(default=None, exclude_if=lambda value: value is None)
    unbundled: Text = Field(default="", exclude_if=lambda value: not value)
    """Why no bundle was written: the candidate itself was measured, and cannot be promoted."""
    policy_digest: Digest | None = Field(default=None, exclude_if=lambda value: value is None)
    """The policy by which it was scanned; judged it may be by another."""
    assurance: Assurance | None = None
    """None where the candidate could not be loaded at all."""
    isolation: Text
    worker_user: Text = Field(default="", exclude_if=lambda value: not value)
    """Where the gate ran as root: whether its workers gave the user's rights up, and if not, why. Its own word."""
    device: Text
    seed: int = Field(ge=0)
    facts: ModelFacts = ModelFacts()
    samples: SamplesEvidence | None = None
    bank: BankEvidence | None = None
    stages: tuple[int, ...] = ()
    """The numbers of the stages that were run, from 1."""
    outcomes: dict[str, Outcome]
    """By detector id. Of the detectors on bytes those of the candidate, under level B those of the bundle; of all
    others those of the bundle where there is one."""
    original: dict[str, Outcome] = Field(default_factory=dict)
    """Under level B, what the detectors on bytes saw in the candidate that the bundle was made of; not judged."""
    suspects: tuple[Suspect, ...] = ()
    repair: RepairOrigin | None = Field(default=None, exclude_if=lambda value: value is None)
    """What the candidate's own provenance says of the attempts to repair it."""
    problems: tuple[Text, ...] = ()
    """Why something could not be examined at all: model, samples, worker."""
    pictures: tuple[Picture, ...] = Field(default=(), max_length=MAX_PICTURES)
    projections: tuple[Projection, ...] = Field(default=(), max_length=16)
    versions: dict[str, Text] = Field(default_factory=dict)
    """Library versions in the worker."""
    seconds: dict[str, Finite] = Field(default_factory=dict)
    """By step: pull, start, load, scan."""

    @property
    def digest(self) -> str:
        """`sha256:` and the hash of the canonical record."""
        return f"sha256:{self.content_sha256}"
