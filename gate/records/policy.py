"""The policy: every threshold, waiver and setting of a check. Docstrings of keys go to docs/reference/policy.md."""

import datetime as dt
from collections.abc import Mapping
from operator import not_
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from gate.records.addresses import AddressError, parse_store
from gate.records.fields import Digest, Sha256, is_none
from gate.records.limit import Bound, Limit, PolicyRecord
from gate.records.plan import MOST_SECONDS
from gate.records.runtime import Runtime
from gate.records.sample_settings import SamplesPolicy

CALIBRATED_RULE, CALIBRATED_METRIC = "calibration", "p-value"
"""Names of a finding by the p-value over a bank, also for its waiver."""


class Rule(PolicyRecord):
    """Limits and options of one detector."""

    limits: dict[str, Limit] = Field(default_factory=dict)
    """Limits by metric id."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Options by name, as `gate explain` lists them with their defaults."""
    required: bool = True
    """Whether a skip with a reason is a finding; a failure always is."""


class SuspectRule(PolicyRecord):
    """A limit, wider than the verdict's, beyond which a class or pair is a suspect."""

    detector: str
    """Id of the detector."""
    metric: str
    """Id of the detector's metric."""
    max: Bound = None
    """Greatest value without suspicion, or a table by number of classes."""
    min: Bound = None
    """Least value without suspicion, or a table by number of classes."""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        self.limit()
        return self

    def limit(self) -> Limit:
        """Return the bound as a limit."""
        return Limit(max=self.max, min=self.min)


class Stage(PolicyRecord):
    """Detectors that run together, on every class or on the suspects that earlier stages named."""

    detectors: tuple[str, ...] = Field(min_length=1)
    """Ids of the stage's detectors."""
    over: Literal["all", "suspects"] = "all"
    """Places that are measured: every class, or the suspects of earlier stages."""
    suspects: tuple[SuspectRule, ...] = ()
    """Rules that name suspects for the next stage; without any, the suspects stay the same."""


class BankSettings(PolicyRecord):
    """The reference bank for every scan."""

    path: str = Field(min_length=1, max_length=4096)
    """Path of the bank's JSON file, relative to the policy's folder."""
    sha256: Sha256
    """Digest that the bank's JSON file must have."""


class DownloadBounds(PolicyRecord):
    """The most that is downloaded of a version, its samples, its training set, and all versions before it, each."""

    max_gib: float = Field(default=64, gt=0, le=1_000_000)
    """The most GiB of one download."""
    max_files: int = Field(default=200_000, ge=1, le=10_000_000)
    """The most files of one download."""

    @property
    def max_bytes(self) -> int:
        """The most bytes of one download."""
        return int(self.max_gib * 2**30)


class Retention(PolicyRecord):
    """Times for which the gate keeps what it stored in the registry."""

    bundles: int = Field(ge=1, le=36_500)
    """Days after the last check that wrote a bundle."""


class Waiver(PolicyRecord):
    """A finding accepted by a person, for one model's bytes, until a day."""

    detector: str
    """Rule of the finding, as in the report: a detector's id or another rule."""
    metric: str
    """Metric of the finding, as in the report."""
    location: str | None = None
    """Location as in the report, such as `class 3`; without one, every location."""
    model_digest: Digest
    """Digest of the model's files, as in the report."""
    reason: str = Field(min_length=1, max_length=1000)
    """Reason for accepting the finding."""
    approved_by: str = Field(min_length=1, max_length=200)
    """Name of the person who accepted it."""
    expires: dt.date
    """Last day on which the waiver holds."""


class Reviewers(PolicyRecord):
    """The people who may decide about a flagged version; without them, nobody may."""

    names: tuple[str, ...] = Field(min_length=1, max_length=1000)
    """User names as the registry's own authentication gives them."""
    approvals: int = Field(default=1, ge=1, le=20)
    """Number of different reviewers who must approve; one who rejects outweighs them."""
    identity: Literal["registry", "stated"] = "registry"
    """Source of a reviewer's name: the registry's authentication, or `--reviewer`."""
    longest: int = Field(default=90, ge=1, le=3650)
    """The most days for which an approval may hold."""


def _stages_error(message: str) -> PydanticCustomError:
    return PydanticCustomError("stages", "{message}", {"message": message, "where": ("stages",)})


_POOLED_ALIKE = 0.1
_INSPECTION_SECONDS = 900.0
"""The default is left out of the canonical form, as those of later keys are: earlier policies keep their digest."""


class Policy(PolicyRecord):
    """A whole policy."""

    version: Literal[1]
    """Version of the policy's format."""
    name: str = Field(default="policy", max_length=100)
    """Name of the policy in reports and decisions."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Seed of every random choice of a scan."""
    examines: Literal["behaviour", "files"] = Field(default="behaviour", exclude_if=lambda value: value == "behaviour")
    """What is judged: with `files`, only bytes, for flavours that the gate cannot load; a reviewer decides."""
    level: float = Field(default=0.05, gt=0, lt=1)
    """False-alarm rate at which a calibrated p-value flags."""
    stages: tuple[Stage, ...] = ()
    """Stages in their order, which is the order of worth too where time is short; without any, one stage of all
    detectors by their names."""
    detectors: dict[str, Rule] = Field(min_length=1)
    """Detectors that run, by id."""
    samples: SamplesPolicy = SamplesPolicy()
    """Clean samples that the models are measured on."""
    samples_from_tag: bool = False
    """Whether the registered model's tag `gate.samples`, which is candidate-controlled, may name the samples."""
    artifact_stores: tuple[str, ...] = Field(default=(), max_length=100, exclude_if=not_)
    """Stores of artifacts beside the tracking server: `scheme://host-or-bucket[/prefix]`
    (docs/reference/artifact-stores.md)."""
    bank: BankSettings | None = None
    """Reference bank of clean models that a candidate is compared with."""
    uncalibrated: Literal["judge", "flag"] = "judge"
    """Action without a reference bank: judge by a p-value within the model, or where there is none by the limits for
    the number of classes; or flag."""
    within: Literal["judge", "show"] = Field(default="show", exclude_if=lambda value: value == "show")
    """Use of the p-value within the model, among clean models of other tasks (docs/explanation/calibration.md)."""
    least_references: int = Field(default=19, ge=3, le=10_000)
    """Fewest models of a bank whose p-value judges; 1 / (n + 1) must reach the level too."""
    few_references: Literal["show", "judge"] = "show"
    """Use of the p-value by t distributions, where the bank has fewer models."""
    pooled_alike: float | None = Field(
        default=_POOLED_ALIKE, ge=0, le=1, exclude_if=lambda value: value == _POOLED_ALIKE
    )
    """Least p-value of a test that the bank's models score higher than the gate's own clean models of other tasks, for
    both to be ranked together; null: never (docs/explanation/calibration.md)."""
    probe_seed: Literal["required", "optional"] = Field(
        default="optional", exclude_if=lambda value: value == "optional"
    )
    """Whether a scan without secret probes (`--probe-seed`) is flagged; the seed itself never stands in a policy."""
    exchange_margin: float = Field(default=0.5, ge=0, le=100)
    """Share of the bank's range by which the candidate's accuracy and norms may lie outside."""
    other_task: Literal["show", "judge"] = "show"
    """Use of the p-value of a bank measured on other samples, which raises many false alarms
    (docs/explanation/calibration.md)."""
    assurance: Literal["A", "B", "C"] = "A"
    """Least assurance level that can be approved."""
    isolation: Literal["full", "partial", "none"] = "full"
    """Least isolation of the worker that can be approved."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device of the detectors that run the model; `auto` is a GPU if there is one."""
    deadline: float = Field(default=1800, gt=0, le=MOST_SECONDS)
    """The most seconds of the scan; what cannot end within them is left out for what can (docs/how-to/time.md)."""
    inspection_deadline: float = Field(
        default=_INSPECTION_SECONDS, gt=0, le=MOST_SECONDS, exclude_if=lambda value: value == _INSPECTION_SECONDS
    )
    """The most seconds of them for inspecting the bytes of all files."""
    download: DownloadBounds = Field(default=DownloadBounds(), exclude_if=lambda value: value == DownloadBounds())
    """Bounds of a download."""
    valid_days: int = Field(default=90, ge=1, le=3650)
    """Days for which a scan's signed decision holds."""
    reviewers: Reviewers | None = None
    """People who may decide about a flagged version."""
    serve: Literal["candidate", "bundle"] = Field(default="candidate", exclude_if=lambda value: value == "candidate")
    """Bytes that an approval covers: the candidate's too, or only the bundle that the gate wrote."""
    runtime: Runtime = Field(default=Runtime(), exclude_if=lambda value: value == Runtime())
    """Versions that a bundle's environment files pin."""
    carry: tuple[Annotated[str, Field(max_length=255)], ...] = Field(default=(), max_length=100, exclude_if=not_)
    """Texts of the candidate, such as its LICENSE, that are copied into the bundle unjudged."""
    retention: Retention | None = Field(default=None, exclude_if=is_none)
    """Times for which stored bundles are kept; without it, they are kept forever."""
    waivers: tuple[Waiver, ...] = ()
    """Findings that a person has accepted."""

    @field_validator("carry")
    @classmethod
    def _carried_once(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        if twice := sorted({path for path in paths if paths.count(path) > 1}):
            raise ValueError(f"'{twice[0]}' stands twice; expected it once")
        return paths

    @model_validator(mode="after")
    def _bundles_outlive_approvals(self) -> Self:
        if self.retention is None:
            return self
        longest = self.most_days
        if self.retention.bundles < longest:
            raise PydanticCustomError(
                "retention",
                "retention.bundles: {days} days, and a decision may hold for {longest} after the check "
                "(valid-days and reviewers.longest); an approval must not outlive its bundle, so expected at least "
                "{longest}",
                {"days": self.retention.bundles, "longest": longest, "where": ("retention", "bundles")},
            )
        return self

    @field_validator("artifact_stores")
    @classmethod
    def _stores_are_addresses(cls, stores: tuple[str, ...]) -> tuple[str, ...]:
        for number, store in enumerate(stores):
            try:
                parse_store(store)
            except AddressError as error:
                raise PydanticCustomError(
                    "store",
                    "'{store}' is no artifact store: it {reason}",
                    {"store": store[:200], "reason": str(error), "where": ("artifact-stores", number)},
                ) from None
        return stores

    @model_validator(mode="after")
    def _stages_name_detectors(self) -> Self:
        named = [name for stage in self.stages for name in stage.detectors]
        if unknown := sorted(set(named) - set(self.detectors)):
            raise _stages_error(f"stages name '{unknown[0]}', which is not among the policy's detectors")
        if twice := sorted({name for name in named if named.count(name) > 1}):
            raise _stages_error(f"the detector '{twice[0]}' stands in two stages; expected one")
        if self.stages and (left_out := sorted(set(self.detectors) - set(named))):
            raise _stages_error(f"no stage runs the detector '{left_out[0]}'; expected each in one stage")
        return self

    @property
    def files_only(self) -> bool:
        """Whether bytes alone are judged, and nothing is approved without a reviewer."""
        return self.examines == "files"

    @property
    def most_days(self) -> int:
        """The most days after a scan for which a decision about it may hold: its own, and one review's on the last."""
        return self.valid_days + (self.reviewers.longest if self.reviewers else 0)

    @property
    def digest(self) -> str:
        """`sha256:` and the hash of the canonical policy, to which a verdict is bound."""
        return f"sha256:{self.content_sha256}"

    def plan(self) -> tuple[Stage, ...]:
        """Return the stages; where none are stated, one of all detectors by their names, since a table has no order."""
        return self.stages or (Stage(detectors=tuple(sorted(self.detectors))),)

    def options_of(self, detector_id: str) -> Mapping[str, Any]:
        """Return the options that the policy states for a detector."""
        return self.detectors[detector_id].options
