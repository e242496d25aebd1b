"""The verdict as a frozen value: the decision, and everything that led to it."""

from typing import Literal

from pydantic import Field

from gate.records.bundle import Covers
from gate.records.finding import BEHAVIOUR, Decision, Finding
from gate.records.record import Record


class Calibration(Record):
    """Where the candidate stands among a bank's models; whether it judges, the verdict says."""

    p_value: float
    """By rank, or where the bank is too small for ranks and the policy says so, by t distributions."""
    level: float
    least_p: float
    """The smallest p-value that the rank among so many models can give."""
    models: int
    score: float
    kind: str
    """per-class or scale-free."""
    driver: str
    """The statistics and the class that the score comes from."""
    predictive_p: float
    by: Literal["rank", "t"] = "rank"
    """What `p_value` is from."""


class Verdict(Record):
    """The decision and everything that led to it."""

    schema_version: Literal[2] = 2
    decision: Decision
    findings: tuple[Finding, ...]
    confirming: tuple[Finding, ...] = ()
    """Limits exceeded that only confirm, because a p-value judged in their place."""
    told: tuple[Finding, ...] = Field(default=(), exclude_if=lambda value: not value)
    """Oddities of the candidate's own bytes that do not flag, because the policy serves the bundle alone."""
    target_classes: tuple[int, ...] = ()
    """Classes that a limit on a class or pair names, or a calibrated finding, without waived ones."""
    calibrated: bool
    """Whether a p-value over a bank of clean models judged; else the policy's limits by number of classes did."""
    standing: Calibration | None = None
    """Where the candidate stands among the bank's models; shown, and not believed, where `calibrated` is false."""
    uncalibrated_because: str = ""
    model_digest: str
    bundle_digest: str | None = None
    """Of the gate's own bundle, which was measured and is what `gate promote` copies."""
    covers: Covers | None = None
    """Which bytes the decision is about: the candidate's too, or the bundle's alone; None in earlier verdicts."""
    examined: Literal["files"] | None = Field(default=None, exclude_if=lambda value: value is None)
    """`files` where the policy judges bytes alone, and nothing is known of behaviour."""
    evidence_digest: str
    policy_name: str
    policy_digest: str

    @property
    def open_findings(self) -> tuple[Finding, ...]:
        """The findings that no waiver covers."""
        return tuple(finding for finding in self.findings if not finding.waived)

    @property
    def bytes_passed(self) -> bool:
        """Whether bytes alone were judged and nothing stands against them, so that a reviewer may decide."""
        return self.examined == "files" and all(finding.rule == BEHAVIOUR for finding in self.open_findings)
