"""The report: everything that a renderer knows, as one frozen value, and the file `report.json`."""

from operator import not_
from typing import Final, Literal

from pydantic import AwareDatetime, Field

from gate.records.artifact import Manifest, ModelRef
from gate.records.declarations import LooksAt
from gate.records.evidence import Evidence
from gate.records.fields import is_none
from gate.records.finding import REVIEW, Decision, Finding
from gate.records.policy import Policy
from gate.records.record import Record
from gate.records.verdict import Verdict


class Coverage(Record):
    """What one detector of the policy measures and cannot see, from its docstring, and whether it ran."""

    detector: str
    title: str
    measures: str
    matters: str
    blind_to: str
    see: str
    status: Literal["measured", "skipped", "failed", "absent"]
    detail: str = ""
    """Reason of a skip, or error of a failure."""
    metrics: dict[str, str]
    looks_at: LooksAt | None = Field(default=None, exclude_if=is_none)
    before_loading: bool = Field(default=False, exclude_if=not_)
    """Whether its findings forbid loading the model and cannot be waived."""


class PolicySource(Record):
    """The policy's file, so that a finding can point at the line that it breaks."""

    path: str = Field(max_length=4096)
    """Path with forward slashes, relative to the gate's working directory; empty outside of it."""
    lines: dict[str, int] = Field(default_factory=dict)
    """Line (from 1) of each `detector/metric`, `detector` and top-level key."""


class Given(Record):
    """The options of a check that a command must repeat to work again; never a secret.

    Keys are named by their paths: one that came as text stays in the environment. An address that holds a user's name,
    a password or a query is left out too.
    """

    policy: str = Field(default="default", max_length=4096)
    samples: str = Field(default="", max_length=4096)
    bank: str = Field(default="", max_length=4096)
    """Value of `--bank`; empty where the policy names the bank, or there is none."""
    base: str = Field(default="", max_length=4096, exclude_if=not_)
    """Value of `--base`; empty without one."""
    against: str = Field(default="", max_length=4096, exclude_if=not_)
    """Value of `--against`; empty where the alias says what serves."""
    directory: str = Field(default="gate-report", max_length=4096)
    allow_code: bool = False
    tracking_uri: str = Field(default="", max_length=4096)
    registry_uri: str = Field(default="", max_length=4096)
    experiment: str = Field(default="", max_length=500)
    """The gate's own experiment, where it is not the default."""
    signing_key: str = Field(default="", max_length=4096)
    signs: bool = False
    """Whether a key was given, as a path or as text."""
    marks: bool = False
    """Whether the version was to be marked."""
    public_keys: tuple[str, ...] = Field(default=(), max_length=20)
    trusts: bool = False
    """Whether public keys were given."""
    audit_log: str = Field(default="", max_length=4096)
    probe_seed: str = Field(default="", max_length=4096, exclude_if=not_)
    """Path of the file of the probe seed; empty for the seed itself, which stays in the environment."""

    @property
    def signed(self) -> bool:
        """Whether the version carries the signed decision."""
        return self.signs and self.marks


NOTHING_GIVEN: Final = Given()
"""The options of a check of which only the evidence is known."""


class Rejection(Record):
    """A reviewer's rejection of the same bytes, which stood when the decision was signed."""

    reviewer: str = Field(max_length=200)
    reason: str = Field(max_length=2000)
    at: AwareDatetime

    @property
    def finding(self) -> Finding:
        """The rejection as something that stands against approval."""
        said = f"{self.reviewer} rejected these bytes on {self.at:%Y-%m-%d}: {self.reason}"
        return Finding(rule=REVIEW, kind="condition", message=said)


class Report(Record):
    """One check, ready to be rendered; one that could not finish has the error and those parts that exist."""

    schema_version: Literal[1] = 1
    gate_version: str
    checked_at: str
    """Time in UTC, ISO 8601, to the second."""
    uri: str
    """URI as the user gave it, with its alias."""
    model: ModelRef | None
    description: str = ""
    """The version's own description: untrusted text."""
    manifest: Manifest | None = None
    evidence: Evidence | None = None
    policy: Policy
    policy_source: PolicySource | None = None
    verdict: Verdict | None = None
    """The policy's own, which follows from the evidence, whatever reviewers said of the bytes."""
    rejections: tuple[Rejection, ...] = Field(default=(), max_length=50, exclude_if=not_)
    """What was signed with the decision, and keeps it flagged."""
    coverage: tuple[Coverage, ...] = ()
    not_examined: tuple[str, ...] = ()
    error: str = ""
    what_to_do: str = ""
    commands: tuple[str, ...] = ()
    given: Given = NOTHING_GIVEN

    @property
    def before_loading(self) -> frozenset[str]:
        """The detectors whose findings forbid loading the model."""
        return frozenset(one.detector for one in self.coverage if one.before_loading)

    @property
    def decision(self) -> Decision:
        """The verdict's decision, unless a rejection stands; a check without a verdict is flagged."""
        judged = self.verdict.decision if self.verdict and not self.error else Decision.FLAGGED
        return Decision.FLAGGED if self.rejections else judged

    @property
    def shown(self) -> "Report":
        """The report as it is shown: with rejections as findings of a flagged verdict, and itself without any."""
        if not self.rejections or self.verdict is None:
            return self
        findings = (*self.verdict.findings, *(one.finding for one in self.rejections))
        verdict = self.verdict.model_copy(update={"decision": Decision.FLAGGED, "findings": findings})
        return self.model_copy(update={"verdict": verdict, "rejections": ()})
