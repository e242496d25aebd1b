"""The verdict as a frozen value: the decision, and everything that led to it."""

from operator import not_
from typing import Literal

from pydantic import Field

from gate.records.bundle import Covers
from gate.records.fields import is_none
from gate.records.finding import BEHAVIOUR, REVIEW, Decision, Finding
from gate.records.history import By
from gate.records.record import Record
from gate.records.threat import Threat


class Calibration(Record):
    """The candidate's p-value among a bank's models, or among clean models of other tasks that come with the gate."""

    p_value: float
    """P-value by rank; by t distributions for a small bank, if the policy allows that."""
    level: float
    least_p: float
    """The smallest p-value by rank among so many models."""
    models: int
    """Models of the bank, or of the gate's own."""
    others: int = Field(default=0, exclude_if=not_)
    """Clean models of other tasks that are ranked with them."""
    score: float
    kind: str
    """`per-class` or `scale-free` beside a bank; `within`: by numbers within one model, beside no bank."""
    driver: str
    """The statistics and the class that the score comes from."""
    predictive_p: float | None
    """P-value by t distributions over sizes alone; None where no size was compared."""
    by: Literal["rank", "t"] = "rank"
    copies: str = Field(default="", exclude_if=not_)
    """Of what the bank's models are copies, and on what they were trained, where the bank is self-made."""
    made_of: str = Field(default="", exclude_if=not_)
    """What the gate's own clean models are, where `kind` is `within`."""

    @property
    def beside(self) -> str:
        """The models with their number, as they stand in a sentence."""
        if self.kind == "within":
            return f"{self.models} clean models of other tasks"
        kind = "self-made copy" if self.copies else "clean model"
        plural = "self-made copies" if self.copies else "clean models"
        own = f"{self.models} {kind if self.models == 1 else plural} {self.copies}".strip()
        return f"{own} and {self.others} of other tasks" if self.others else own


class Verdict(Record):
    """The decision and everything that led to it."""

    schema_version: Literal[2] = 2
    decision: Decision
    findings: tuple[Finding, ...]
    confirming: tuple[Finding, ...] = ()
    """Exceeded limits that only confirm, because a p-value judged in their place."""
    told: tuple[Finding, ...] = Field(default=(), exclude_if=not_)
    """Oddities of the candidate's own bytes that do not flag: the policy serves the bundle alone."""
    target_classes: tuple[int, ...] = ()
    """Classes named by limits on a class or pair or by calibrated findings, unless waived."""
    calibrated: bool
    """Whether a p-value over a bank of clean models judged; else that within the model did, or the policy's limits."""
    standing: Calibration | None = None
    """The candidate among the bank's models; only shown where `calibrated` is false."""
    within: Calibration | None = Field(default=None, exclude_if=is_none)
    """The candidate among clean models of other tasks, where no bank's p-value is believed."""
    within_judged: bool = Field(default=False, exclude_if=not_)
    """Whether that p-value judged; else it is only shown."""
    uncalibrated_because: str = ""
    """Why no p-value over a bank is believed and, where there is none, why none within the model."""
    model_digest: str
    bundle_digest: str | None = None
    """Digest of the gate's own bundle, which was measured and which `gate promote` copies."""
    covers: Covers | None = None
    """The bytes that the decision is about; None in earlier verdicts."""
    examined: Literal["files"] | None = Field(default=None, exclude_if=is_none)
    """`files` where the policy judges bytes alone, and nothing is known of behaviour."""
    evidence_digest: str
    policy_name: str
    policy_digest: str
    threats: tuple[Threat, ...] = Field(default=(), max_length=64, exclude_if=not_)
    """What is said of each threat; empty in earlier verdicts."""

    @property
    def judging(self) -> Calibration | None:
        """The p-value that judged; None where the policy's limits did."""
        if self.calibrated:
            return self.standing
        return self.within if self.within_judged else None

    @property
    def judged_by(self) -> By:
        """What decided about behaviour; only a p-value has a `judging`."""
        if self.examined == "files":
            return "bytes"
        if self.judging is None:
            return "limits"
        return "p-value-bank" if self.calibrated else "p-value-within"

    @property
    def open_findings(self) -> tuple[Finding, ...]:
        """The findings that no waiver covers."""
        return tuple(finding for finding in self.findings if not finding.waived)

    @property
    def bytes_passed(self) -> bool:
        """Whether bytes alone were judged and nothing stands against them, so that a reviewer may decide."""
        return self.examined == "files" and all(finding.rule in {BEHAVIOUR, REVIEW} for finding in self.open_findings)
