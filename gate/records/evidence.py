"""Evidence: everything that was measured, without judgement (`evidence.json`: docs/reference/contracts.md, 4)."""

import base64
from operator import not_
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from gate.records.artifact import ModelRef
from gate.records.bank_evidence import BankEvidence
from gate.records.bundle import BundleFacts
from gate.records.counts import Counts
from gate.records.fields import Digest, Finite, MetricId, Text, is_none
from gate.records.plan import Plan
from gate.records.previous import PreviousEvidence
from gate.records.provenance import RepairOrigin
from gate.records.record import Record
from gate.records.samples_evidence import SamplesEvidence
from gate.records.secret_counts import SecretCounts

MAX_PICTURES = 64
MAX_PICTURE_SIDE = 256
MAX_PROJECTION_POINTS = 2000
EXAMINED_FLAVOURS = ("pytorch", "onnx")
"""The flavour whose models are loaded and measured."""
PIPELINES = "transformers"
"""The flavour of pipelines; those of some tasks are examined, and an inspector names another's task beside it."""

FEW_CLASSES = 8
"""With fewer classes an outlier test in one model has no power or level (docs/reference/contracts.md, section 7)."""

Assurance = Literal["A", "B", "C"]
LocationKind = Literal["file", "layer", "node", "neuron", "class", "pair"]


class Location(Record):
    """The place of a measurement; a pair is named `source→target`."""

    kind: LocationKind
    name: Text

    @classmethod
    def of_class(cls, index: int) -> Self:
        """Return the location of a class by its index."""
        return cls(kind="class", name=str(index))

    @classmethod
    def of_pair(cls, source: int, target: int) -> Self:
        """Return the location of a pair of classes: samples of the first are sent to the second."""
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
    detector: str = Field(default="", max_length=64, exclude_if=not_)
    """Id of its detector, which the scan fills in; empty in evidence of an earlier gate."""
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
    """Kind of sample: clean, triggered, …"""
    cluster: int


class Projection(Record):
    """Samples of one class drawn in two dimensions, for the report's cluster plot."""

    location: Location
    method: Text
    points: tuple[Point, ...] = Field(max_length=MAX_PROJECTION_POINTS)


class Unmeasured(Record):
    """A metric that a detector could not measure on this model and these samples, and the reason."""

    metric: MetricId
    reason: Text
    least_classes: int | None = Field(default=None, ge=2, le=FEW_CLASSES, exclude_if=is_none)
    """Fewest classes with which the metric exists, where the model has fewer."""

    def undefined(self, classes: int | None) -> bool:
        """Tell whether the metric does not exist for a model of so many classes."""
        return self.least_classes is not None and classes is not None and classes < self.least_classes


class Measured(Record):
    """A detector ran to its end."""

    status: Literal["measured"] = "measured"
    measurements: tuple[Measurement, ...]
    seconds: Finite = Field(ge=0)
    sample_passes: int = Field(ge=0, default=0)
    """Number of samples passed forward, or forward and backward."""
    gradient_passes: int = Field(ge=0, default=0, exclude_if=not_)
    """Number of those that were passed backward too, by candidate and references; not counted by an earlier gate."""
    options: dict[str, Any] = Field(default_factory=dict)
    unmeasured: tuple[Unmeasured, ...] = Field(default=(), max_length=64, exclude_if=not_)
    counts: Counts | None = Field(default=None, exclude_if=is_none)
    """Counts of answers by probe, source and answer, which a bank compares cell by cell."""
    secret_counts: SecretCounts | None = Field(default=None, exclude_if=is_none)
    """The same of the secret probes, sealed; None without a probe seed."""


class Skipped(Record):
    """A detector did not run, for a reason."""

    status: Literal["skipped"] = "skipped"
    reason: Text
    options: dict[str, Any] = Field(default_factory=dict)
    short_of_time: bool = Field(default=False, exclude_if=not_)
    """Whether the deadline kept it from being measured: a finding, even where the policy does not require it."""


class Failed(Record):
    """A detector, its worker or its result broke."""

    status: Literal["failed"] = "failed"
    error: Text
    seconds: Finite = Field(ge=0, default=0.0)
    options: dict[str, Any] = Field(default_factory=dict)


Outcome = Annotated[Measured | Skipped | Failed, Field(discriminator="status")]


class Suspect(Record):
    """A class or pair that a stage named for the next."""

    stage: int = Field(ge=1)
    detector: str
    metric: str
    value: Finite
    location: Location


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
    input_shape: tuple[int, ...] = ()
    """Shape without the batch dimension."""
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


class Evidence(Record):
    """Everything that one scan measured."""

    schema_version: Literal[1] = 1
    gate_version: str
    model: ModelRef
    manifest_digest: Digest
    bundle_digest: Digest | None = None
    """Digest of the measured bundle; None where none was written."""
    bundle: BundleFacts | None = Field(default=None, exclude_if=is_none)
    unbundled: Text = Field(default="", exclude_if=not_)
    """Reason why no bundle was written: the candidate itself was measured, and cannot be promoted."""
    policy_digest: Digest | None = Field(default=None, exclude_if=is_none)
    """Digest of the policy of the scan; another may judge it."""
    assurance: Assurance | None = None
    """Level of assurance; None where the candidate could not be loaded."""
    isolation: Text
    worker_user: Text = Field(default="", exclude_if=not_)
    """User of the workers where the gate ran as root; its own claim."""
    device: Text
    seed: int = Field(ge=0)
    facts: ModelFacts = ModelFacts()
    samples: SamplesEvidence | None = None
    bank: BankEvidence | None = None
    previous: PreviousEvidence | None = Field(default=None, exclude_if=is_none)
    """The versions that it was compared with; None where the policy asks for no comparison."""
    stages: tuple[int, ...] = ()
    """Numbers of the stages that ran, from 1."""
    outcomes: dict[str, Outcome]
    """Outcomes by detector id: on bytes of the candidate (under level B of the bundle), else of the bundle, if any."""
    original: dict[str, Outcome] = Field(default_factory=dict)
    """Outcomes of the detectors on bytes for the candidate, under level B; not judged."""
    suspects: tuple[Suspect, ...] = ()
    repair: RepairOrigin | None = Field(default=None, exclude_if=is_none)
    """Repair that the candidate's own provenance claims."""
    problems: tuple[Text, ...] = ()
    """Reasons why model, samples or worker could not be examined at all."""
    pictures: tuple[Picture, ...] = Field(default=(), max_length=MAX_PICTURES)
    projections: tuple[Projection, ...] = Field(default=(), max_length=16)
    versions: dict[str, Text] = Field(default_factory=dict)
    seconds: dict[str, Finite] = Field(default_factory=dict)
    """Seconds by step: pull, start, load, scan."""
    plan: Plan | None = Field(default=None, exclude_if=is_none)
    """Seconds that were expected of the detectors that run the model, and that they took; None where none did."""

    @property
    def digest(self) -> str:
        """`sha256:` and the hash of the canonical record."""
        return f"sha256:{self.content_sha256}"
