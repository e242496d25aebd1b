"""Evidence: everything that was measured, without judgement (`evidence.json`: docs/reference/contracts.md, 4)."""

import base64
from operator import not_
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from gate.records.adapters import WHOLE, AdapterGroup, BaseEvidence, group_of
from gate.records.artifact import ModelRef
from gate.records.bank_evidence import BankEvidence
from gate.records.bundle import BundleFacts
from gate.records.counts import Counts
from gate.records.facts import FEW_CLASSES, ModelFacts
from gate.records.fields import Digest, Finite, MetricId, Text, is_none
from gate.records.history import History
from gate.records.plan import Plan
from gate.records.previous import PreviousEvidence
from gate.records.provenance import RepairOrigin
from gate.records.record import Record
from gate.records.samples_evidence import SamplesEvidence
from gate.records.secret_counts import SecretCounts

MAX_PICTURES = 64
MAX_EXCERPTS = 64
MAX_PICTURE_SIDE = 256
MAX_PROJECTION_POINTS = 2000
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
    reach: Finite | None = Field(default=None, exclude_if=is_none)
    """The worst value that it could have had here, such as the least rank among so few; None where any could be."""


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


class Piece(Record):
    """A part of a text."""

    text: str = Field(max_length=1000)
    planted: bool = False
    """Whether a detector put it there."""


class ClassShare(Record):
    """How many texts a model gives one class, before and after a change of them."""

    index: int = Field(ge=0, lt=1_000_000)
    before: Finite = Field(ge=0, le=1)
    after: Finite = Field(ge=0, le=1)


class Continuation(Record):
    """What a language model says behind a prompt: a candidate, or its base."""

    by: Literal["candidate", "base"]
    triggered: bool
    """Whether the trigger was in the prompt."""
    text: str = Field(max_length=600)


class Excerpt(Record):
    """A text for the report with what a detector changed in it; every word of it is the candidate's or the samples'."""

    location: Location | None = None
    detector: str = Field(default="", max_length=64, exclude_if=not_)
    """Id of its detector, which the scan fills in."""
    trigger: str = Field(default="", max_length=300)
    """What was put in; empty where the whole text was rewritten."""
    change: Text
    """What was done, in the gate's own words."""
    sample: str = Field(max_length=1000)
    """The text as it was, or the part of it that is shown."""
    pieces: tuple[Piece, ...] = Field(max_length=8)
    """The same after the change, in parts."""
    texts: int = Field(ge=0)
    """Number of texts that the shares are of."""
    shares: tuple[ClassShare, ...] = Field(default=(), max_length=16)
    continuations: tuple[Continuation, ...] = Field(default=(), max_length=4, exclude_if=not_)
    """What language models say behind the text; empty for classifiers."""


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
    token_passes: int = Field(ge=0, default=0, exclude_if=not_)
    """Number of tokens in them; 0 for images."""
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
    base: BaseEvidence | None = Field(default=None, exclude_if=is_none)
    """The base that `--base` named, of an adapter or a language model; None without one."""
    previous: PreviousEvidence | None = Field(default=None, exclude_if=is_none)
    """The versions that it was compared with; None where the policy asks for no comparison."""
    history: History | None = Field(default=None, exclude_if=is_none)
    """The signed decisions on the versions before it, which no rule judges; None where no key is trusted."""
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
    excerpts: tuple[Excerpt, ...] = Field(default=(), max_length=MAX_EXCERPTS, exclude_if=not_)
    projections: tuple[Projection, ...] = Field(default=(), max_length=16)
    versions: dict[str, Text] = Field(default_factory=dict)
    begun_at: AwareDatetime | None = Field(default=None, exclude_if=is_none)
    """Time before the first worker of the scan was started; None in evidence of an earlier gate."""
    seconds: dict[str, Finite] = Field(default_factory=dict)
    """Seconds by step: pull, start, load, scan."""
    plan: Plan | None = Field(default=None, exclude_if=is_none)
    """Seconds that were expected of the detectors that run the model, and that they took; None where none did."""

    @property
    def digest(self) -> str:
        """`sha256:` and the hash of the canonical record."""
        return f"sha256:{self.content_sha256}"

    @property
    def group(self) -> AdapterGroup | None:
        """The group of a model that is compared beside its base; None of others, without a base, or of mixed ranks."""
        if self.facts.language is not None and self.base is not None:
            return AdapterGroup(base=self.base.weights, beside=self.base.beside, parameterisation=WHOLE)
        return group_of(self.facts.adapter, self.base)
