"""A fleet: the plan of many checks, and what became of each (`plan.json`, `result.json`, `status.json`).

A task is one check of bytes by rules. Its key is a digest of what decides the measurements, so that work that was done
is found again, and versions with the same bytes are one task.
"""

import datetime as dt
from operator import not_
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, model_validator

from gate.records.artifact import ModelRef
from gate.records.fields import Digest, Finite, Sha256, Text, is_none
from gate.records.finding import Decision
from gate.records.record import Record

MOST_VERSIONS = 100_000
"""Versions of the largest plan."""
MOST_ATTEMPTS = 20

Version = Annotated[str, Field(pattern=r"^models:/(?s:.){1,4096}/[0-9]{1,64}$")]
"""A version's URI; its name is the registry's, and may hold any sign."""
Outcome = Literal["approved", "flagged", "failed", "changed", "gone"]
"""How a task ended: by a verdict, or without one for a reason that trying again does not mend by itself."""
State = Literal["approved", "flagged", "failed", "changed", "gone", "running", "waiting"]
STATES: tuple[State, ...] = ("flagged", "failed", "changed", "gone", "running", "waiting", "approved")
"""In the order in which people look at them."""
_LATE = "not marked: others with these bytes were marked before it was planned"
TO_DO: frozenset[State] = frozenset({"running", "waiting"})
"""States of a task that has not ended."""


class FleetRules(Record):
    """By what every task is checked; `run` reads it again, and refuses what has other digests."""

    policy: str = Field(max_length=4096)
    """Value of `--policy`: a packaged name, or a path."""
    policy_name: str = Field(max_length=100)
    policy_digest: Digest
    valid_days: int = Field(ge=1)
    """Days for which a decision holds; an older one is made anew."""
    examines: Literal["behaviour", "files"] = "behaviour"
    """Whether a detector runs the models, or all look at files and graphs: it decides only what a check may take."""
    samples: str | None = Field(default=None, max_length=4096)
    bank: str | None = Field(default=None, max_length=4096)
    bank_digest: Digest | None = None
    base: str | None = Field(default=None, max_length=4200)
    """The base as it was resolved: a version by its number, or a folder."""
    base_digest: Digest | None = None
    """Digest of a base that is a folder."""
    seed: int | None = None
    device: Literal["auto", "cpu", "cuda"] | None = None
    deadline_seconds: Finite | None = None
    allow_code: bool = False
    arithmetic: Literal["auto", "as-read"] = "auto"
    isolation: Literal["full", "partial", "none"] | None = None
    probe_key: Sha256 | None = None
    """Digest by which a probe seed is known; the seed itself is given to `run`."""
    gate_version: str
    detectors: dict[str, Digest] = Field(max_length=200)
    """Digest of the code of each detector of the policy."""
    engine: Digest
    """Digest of the code that detectors share."""


class Predicted(Record):
    """What a task is expected to take."""

    seconds: Finite = Field(ge=0)
    basis: Literal["model", "size", "guess"]
    """Finished tasks of the same registered model; those nearest in size; or size alone, with nothing measured."""
    beside: int = Field(default=0, ge=0)
    """Number of finished tasks that it rests on."""


class FleetTask(Record):
    """One check: bytes, and the versions that have them."""

    key: Sha256
    digest: Digest
    size_bytes: int = Field(ge=0)
    samples_digest: Sha256 | None = None
    versions: tuple[Version, ...] = Field(min_length=1, max_length=MOST_VERSIONS)
    """The versions with these bytes; the first is the one that is checked."""
    places: tuple[str, ...] = Field(default=(), max_length=1000)
    """Aliases and stages by which they were chosen, as `alias champion` or `stage Production`."""
    predicted: Predicted

    @property
    def refs(self) -> tuple[ModelRef, ...]:
        """The versions as references."""
        return tuple(ModelRef.parse(version) for version in self.versions)


class Unread(Record):
    """A version that could not be downloaded or hashed, so that no task is about it: nothing was examined."""

    version: Version
    why: Text


class FleetPlan(Record):
    """`plan.json`."""

    schema_version: Literal[1] = 1
    made_at: AwareDatetime
    registry: str = Field(max_length=4096)
    """Address of the registry, without secrets."""
    registry_digest: Digest | None = None
    """Digest of the registry's place, which is in the keys of the tasks."""
    chosen: str = Field(max_length=4096)
    """What was chosen of it, in words."""
    rules: FleetRules
    tasks: tuple[FleetTask, ...] = Field(max_length=MOST_VERSIONS)
    """The longest first."""
    unread: tuple[Unread, ...] = Field(default=(), max_length=MOST_VERSIONS, exclude_if=not_)

    @model_validator(mode="after")
    def _once(self) -> "FleetPlan":
        keys = {task.key for task in self.tasks}
        versions = [version for task in self.tasks for version in task.versions]
        if len(keys) != len(self.tasks) or len(set(versions)) != len(versions):
            raise ValueError("a task or a version stands twice")
        return self

    def expired(self, result: "FleetResult", at: dt.datetime) -> bool:
        """Tell whether a verdict is older than its policy lets one hold."""
        return result.judged and at >= result.decided_at + dt.timedelta(days=self.rules.valid_days)


class Attempt(Record):
    """One beginning of a task; without an end it runs, or its process died."""

    number: int = Field(ge=1)
    began_at: AwareDatetime
    host: str = Field(max_length=255)
    process: int
    ended: Literal["", "done", "failed", "registry", "stopped", "killed"] = ""
    why: Text = ""

    @property
    def counts(self) -> bool:
        """Whether it counts towards the most attempts: the task itself may have brought it down."""
        return self.ended in {"failed", "killed"}


class Attempts(Record):
    """`attempts.json` of a task."""

    schema_version: Literal[1] = 1
    made: tuple[Attempt, ...] = Field(default=(), max_length=1000)


class Marked(Record):
    """A version's mark in the registry."""

    version: Version
    decision: Decision | None = None
    """Decision as it was marked; None where it was not."""
    reports_at: str = Field(default="", max_length=4096)
    why: Text = ""
    """Reason why it was not marked."""
    final: bool = Field(default=False, exclude_if=not_)
    """Whether trying again changes nothing: its bytes are others now, or it is gone."""
    at: AwareDatetime | None = Field(default=None, exclude_if=is_none)
    """Time when it was tried."""

    def stands(self, planned_at: dt.datetime, begun_at: dt.datetime) -> bool:
        """Tell whether a run that began then leaves it as it is: marked, final for this plan, or tried in this run."""
        since = planned_at if self.final else begun_at
        return self.decision is not None or (self.at is not None and self.at >= since)


class FleetResult(Record):
    """`result.json` of a task that has ended."""

    schema_version: Literal[1] = 1
    key: Sha256
    digest: Digest
    version: Version
    """The version that was checked."""
    policy_digest: Digest
    outcome: Outcome
    decided_at: AwareDatetime
    seconds: Finite = Field(default=0.0, ge=0)
    """Seconds from the beginning of the pull to the verdict, of the attempt that ended."""
    resumed: bool = False
    """Whether an earlier attempt had done a part, so that the seconds are not those of the whole."""
    size_bytes: int = Field(default=0, ge=0)
    passes: int = Field(default=0, ge=0)
    """Samples that the detectors sent through the model."""
    findings: tuple[Text, ...] = Field(default=(), max_length=10)
    """The first of the open findings."""
    more_findings: int = Field(default=0, ge=0)
    evidence_digest: Digest | None = Field(default=None, exclude_if=is_none)
    why: Text = ""
    """Reason why there is no verdict."""
    attempts: int = Field(default=1, ge=0)
    marked: tuple[Marked, ...] = Field(default=(), max_length=MOST_VERSIONS, exclude_if=not_)

    @property
    def judged(self) -> bool:
        """Whether there is a verdict."""
        return self.outcome in {"approved", "flagged"}


class FleetRow(Record):
    """A task in the report."""

    key: Sha256
    digest: Digest
    versions: tuple[Version, ...]
    places: tuple[str, ...] = ()
    state: State
    predicted: Predicted
    seconds: Finite | None = None
    passes: int = 0
    attempts: int = 0
    findings: tuple[Text, ...] = ()
    more_findings: int = 0
    why: Text = ""
    decided_at: AwareDatetime | None = None
    began_at: AwareDatetime | None = None
    host: str = ""
    marked: tuple[Marked, ...] = ()
    report: str = ""
    """Path of its report, relative to the fleet's folder; empty where there is none."""

    @property
    def ended(self) -> bool:
        """Whether the task has ended, with a verdict or without one."""
        return self.state not in TO_DO

    @property
    def reason(self) -> str:
        """What stands against it first, or why it has no verdict; empty where nothing is known."""
        return next(iter(self.findings), self.why)

    def measured_since(self, at: dt.datetime) -> bool:
        """Tell whether it was judged since a time; a check tells its own to the second."""
        return self.seconds is not None and self.decided_at is not None and self.decided_at >= at.replace(microsecond=0)

    @property
    def unmarked(self) -> tuple[Marked, ...]:
        """The versions without a mark, with the reason, where the verdict was to be marked."""
        if not self.marked or self.state not in {"approved", "flagged"}:
            return ()
        known = {mark.version: mark for mark in self.marked}
        found = (known.get(version) or Marked(version=version, why=_LATE) for version in self.versions)
        return tuple(mark for mark in found if mark.decision is None)


class FleetStatus(Record):
    """`status.json`: what is known now of every task."""

    schema_version: Literal[1] = 1
    at: AwareDatetime
    made_at: AwareDatetime
    registry: str
    chosen: str
    rules: FleetRules
    counts: dict[State, int]
    versions: int
    """Versions that are planned, those that could not be read included."""
    same_bytes: int
    """Versions whose bytes another version's task is about."""
    measured_seconds: Finite
    """Sum over the tasks that were finished since the plan, and whose seconds are those of a whole check."""
    predicted_seconds: Finite
    """What the plan expected of the same tasks."""
    left_seconds: Finite
    """What the others are expected to take, one after the other, by what has been measured so far."""
    rows: tuple[FleetRow, ...]
    unread: tuple[Unread, ...] = ()

    @property
    def unmarked(self) -> tuple[Marked, ...]:
        """The versions without a mark, where their verdict was to be marked."""
        return tuple(mark for row in self.rows for mark in row.unmarked)

    @property
    def unfinished(self) -> bool:
        """Whether a task has no verdict, or a version could not be read or marked; or nothing was chosen."""
        judged = self.counts.get("approved", 0) + self.counts.get("flagged", 0)
        return judged < len(self.rows) or not self.rows or bool(self.unread or self.unmarked)

    @property
    def live(self) -> bool:
        """Whether anything runs now."""
        return bool(self.counts.get("running", 0))
