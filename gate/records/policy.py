"""The policy: every threshold, waiver and setting of a check, as frozen values.

The only place where limits live; pure. Keys are kebab-case in the file: docs/reference/policy.md.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from gate.records.addresses import AddressError, parse_store
from gate.records.limit import Bound, Limit, PolicyRecord
from gate.records.runtime import Runtime
from gate.records.sample_settings import SamplesPolicy

CALIBRATED_RULE, CALIBRATED_METRIC = "calibration", "p-value"
"""What a finding by the p-value over a bank is named by, and a waiver of it."""


class Rule(PolicyRecord):
    """What the policy asks of one detector."""

    limits: dict[str, Limit] = Field(default_factory=dict)
    """By metric id."""
    options: dict[str, Any] = Field(default_factory=dict)
    required: bool = True
    """False: a recorded, reasoned skip of this detector is no finding. A failure always is."""


class SuspectRule(PolicyRecord):
    """What makes a class or pair a suspect: a metric beyond a limit wider than the verdict's."""

    detector: str
    metric: str
    max: Bound = None
    min: Bound = None

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
    over: Literal["all", "suspects"] = "all"
    suspects: tuple[SuspectRule, ...] = ()
    """Any of these makes a location a suspect for the next stage; without them the present suspects remain."""


class BankSettings(PolicyRecord):
    """Which reference bank stands beside every scan."""

    path: str = Field(min_length=1, max_length=4096)
    """Of the bank's JSON file; relative to the policy's own folder."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class DownloadBounds(PolicyRecord):
    """How much is downloaded at most, of a version and of its samples and its training set each."""

    max_gib: float = Field(default=64, gt=0, le=1_000_000)
    max_files: int = Field(default=200_000, ge=1, le=10_000_000)

    @property
    def max_bytes(self) -> int:
        """The same in bytes."""
        return int(self.max_gib * 2**30)


class Retention(PolicyRecord):
    """For how long the gate keeps what it stored in the registry."""

    bundles: int = Field(ge=1, le=36_500)
    """Days after the last check that wrote a bundle."""


class Waiver(PolicyRecord):
    """A finding accepted by a person, for one model's bytes, until a day."""

    detector: str
    metric: str
    location: str | None = None
    """As the report writes it, such as `class 3`; None covers the metric wherever it was measured."""
    model_digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    reason: str = Field(min_length=1, max_length=1000)
    approved_by: str = Field(min_length=1, max_length=200)
    expires: dt.date


class Reviewers(PolicyRecord):
    """Who may decide about a flagged version, and how many of them it takes; without it, nobody may."""

    names: tuple[str, ...] = Field(min_length=1, max_length=1000)
    """User names as the registry's own authentication gives them."""
    approvals: int = Field(default=1, ge=1, le=20)
    """So many different reviewers must approve; one who rejects outweighs them."""
    identity: Literal["registry", "stated"] = "registry"
    """Whether a reviewer is who the registry's authentication says, or who `--reviewer` says."""
    longest: int = Field(default=90, ge=1, le=3650)
    """Days that an approval may hold at most."""


def _stages_error(message: str) -> PydanticCustomError:
    return PydanticCustomError("stages", "{message}", {"message": message, "where": ("stages",)})


_INSPECTION_SECONDS = 900.0
"""Left out of the canonical form, as the default bounds of a download are: policies from before these keys keep their
digest, and the decisions under it."""


class Policy(PolicyRecord):
    """A whole policy."""

    version: Literal[1]
    name: str = Field(default="policy", max_length=100)
    seed: int = Field(default=0, ge=0, lt=2**32)
    examines: Literal["behaviour", "files"] = Field(default="behaviour", exclude_if=lambda value: value == "behaviour")
    """What is looked at: `files` judges the bytes of models that no detector examines, and a reviewer decides."""
    level: float = Field(default=0.05, gt=0, lt=1)
    """The false-alarm rate at which a calibrated p-value flags."""
    stages: tuple[Stage, ...] = ()
    detectors: dict[str, Rule] = Field(min_length=1)
    samples: SamplesPolicy = SamplesPolicy()
    samples_from_tag: bool = False
    """Whether the registered model's tag `gate.samples`, the candidate side's word, may name the samples."""
    artifact_stores: tuple[str, ...] = Field(default=(), max_length=100, exclude_if=lambda value: not value)
    """Where artifacts may lie beside the tracking server: `scheme://host-or-bucket[/prefix]`
    (docs/reference/artifact-stores.md)."""
    bank: BankSettings | None = None
    uncalibrated: Literal["judge", "flag"] = "judge"
    """Without a reference bank: judge by the limits for the number of classes, or flag."""
    least_references: int = Field(default=19, ge=3, le=10_000)
    """Models that a bank must have before its p-value judges; 1 / (n + 1) must reach the level too."""
    few_references: Literal["show", "judge"] = "show"
    """What the p-value by t distributions does beside a bank of the task that has fewer models."""
    exchange_margin: float = Field(default=0.5, ge=0, le=100)
    """By this share of the bank's range the candidate's accuracy and norms may lie outside it."""
    other_task: Literal["show", "judge"] = "show"
    """What the p-value of a bank that was measured on other samples does; it compares ratios within each model, and on
    clean models its false alarms are many (docs/explanation/calibration.md)."""
    assurance: Literal["A", "B", "C"] = "A"
    """The least assurance level that can be approved."""
    isolation: Literal["full", "partial", "none"] = "full"
    """The least isolation of the worker that can be approved."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    deadline: float = Field(default=1800, gt=0, le=7 * 86400)
    """Seconds that the scan may take."""
    inspection_deadline: float = Field(
        default=_INSPECTION_SECONDS, gt=0, le=7 * 86400, exclude_if=lambda value: value == _INSPECTION_SECONDS
    )
    """Seconds of them that the look at the bytes may take, of all files together."""
    download: DownloadBounds = Field(default=DownloadBounds(), exclude_if=lambda value: value == DownloadBounds())
    valid_days: int = Field(default=90, ge=1, le=3650)
    """Days for which a scan's signed decision holds."""
    reviewers: Reviewers | None = None
    serve: Literal["candidate", "bundle"] = Field(default="candidate", exclude_if=lambda value: value == "candidate")
    """Which bytes an approval covers: the candidate's own, or the bundle that the gate wrote of its program alone."""
    runtime: Runtime = Field(default=Runtime(), exclude_if=lambda value: value == Runtime())
    carry: tuple[Annotated[str, Field(max_length=255)], ...] = Field(
        default=(), max_length=100, exclude_if=lambda value: not value
    )
    """Texts of the candidate, such as its LICENSE, that are copied into the bundle and not judged."""
    retention: Retention | None = Field(default=None, exclude_if=lambda value: value is None)
    """None: what was stored is kept."""
    waivers: tuple[Waiver, ...] = ()

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
        # A review may come at the end of the scan's own days, and holds from then on.
        longest = self.valid_days + (self.reviewers.longest if self.reviewers else 0)
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
        """Whether bytes alone are judged, so that nothing is approved without a reviewer."""
        return self.examines == "files"

    @property
    def digest(self) -> str:
        """`sha256:` and the hash of the canonical policy: what a verdict binds."""
        return f"sha256:{self.content_sha256}"

    def plan(self) -> tuple[Stage, ...]:
        """Return the stages, or one stage of all detectors where none are stated."""
        return self.stages or (Stage(detectors=tuple(self.detectors)),)

    def options_of(self, detector_id: str) -> Mapping[str, Any]:
        """Return the options that the policy states for a detector."""
        return self.detectors[detector_id].options
