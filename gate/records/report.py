"""Report: everything that a renderer may know, as one frozen value.

Put together by `gate.check.report` from evidence, policy and verdict; `report.json` is this record. A check that could
not finish has a report too: it carries the error, and whatever of the rest exists.
"""

from typing import Final, Literal

from pydantic import Field

from gate.records.artifact import Manifest, ModelRef
from gate.records.declarations import LooksAt
from gate.records.evidence import Evidence
from gate.records.finding import Decision
from gate.records.policy import Policy
from gate.records.record import Record
from gate.records.verdict import Verdict


class Coverage(Record):
    """What one detector of the policy looks at and cannot see, from its own docstring, and what became of it."""

    detector: str
    title: str
    measures: str
    matters: str
    blind_to: str
    see: str
    status: Literal["measured", "skipped", "failed", "absent"]
    detail: str = ""
    """The reason of a skip, the error of a failure."""
    metrics: dict[str, str]
    """Metric id to its meaning."""
    looks_at: LooksAt | None = Field(default=None, exclude_if=lambda value: value is None)
    """None in the report of an earlier gate."""
    before_loading: bool = Field(default=False, exclude_if=lambda value: not value)
    """Whether a finding of it forbids loading the model, and can be waived by nobody."""


class PolicySource(Record):
    """Where the policy was read, so that a finding can point at the line that it breaks."""

    path: str = Field(max_length=4096)
    """With forward slashes, relative to the directory in which the gate ran; empty where it lies elsewhere."""
    lines: dict[str, int] = Field(default_factory=dict)
    """From `detector/metric`, `detector` or a key of the file's first level to its line, from 1."""


class Given(Record):
    """What a check was given, as far as a command that is to work again must name it; never a secret.

    Keys are named by their paths alone; one that came as text stays in the environment that it came from. An address
    that holds a user's name, a password or a query is left out likewise.
    """

    policy: str = Field(default="default", max_length=4096)
    """What one types after `--policy`."""
    samples: str = Field(default="", max_length=4096)
    bank: str = Field(default="", max_length=4096)
    """What `--bank` named; empty where the policy does, or where there is none."""
    directory: str = Field(default="gate-report", max_length=4096)
    """Where the files of the check lie."""
    allow_code: bool = False
    tracking_uri: str = Field(default="", max_length=4096)
    registry_uri: str = Field(default="", max_length=4096)
    experiment: str = Field(default="", max_length=500)
    """The gate's own, where it is not the usual one."""
    signing_key: str = Field(default="", max_length=4096)
    signs: bool = False
    """Whether a key was given at all, as a path or as text."""
    marks: bool = False
    """Whether the version was to be marked."""
    public_keys: tuple[str, ...] = Field(default=(), max_length=20)
    trusts: bool = False
    """Whether public keys were given at all."""
    audit_log: str = Field(default="", max_length=4096)

    @property
    def signed(self) -> bool:
        """Whether the decision stands signed on the version."""
        return self.signs and self.marks


NOTHING_GIVEN: Final = Given()
"""Of a check of which nothing is known but its evidence."""


class Report(Record):
    """One check, ready to be rendered."""

    schema_version: Literal[1] = 1
    gate_version: str
    checked_at: str
    """UTC, ISO 8601, to the second."""
    uri: str
    """What the user asked for; an alias stays visible here."""
    model: ModelRef | None
    description: str = ""
    """The version's own words: untrusted text."""
    manifest: Manifest | None = None
    evidence: Evidence | None = None
    policy: Policy
    policy_source: PolicySource | None = None
    verdict: Verdict | None = None
    coverage: tuple[Coverage, ...] = ()
    not_examined: tuple[str, ...] = ()
    error: str = ""
    """Why the gate could not finish; empty otherwise."""
    what_to_do: str = ""
    commands: tuple[str, ...] = ()
    """Exact commands for the reviewer, those of `gate.renderers.next_steps`."""
    given: Given = NOTHING_GIVEN
    """With what it was checked; the commands name it again."""

    @property
    def before_loading(self) -> frozenset[str]:
        """The detectors whose findings forbid loading: hostile files and code execution."""
        return frozenset(one.detector for one in self.coverage if one.before_loading)

    @property
    def decision(self) -> Decision:
        """The verdict's decision; a check without a verdict is flagged."""
        return self.verdict.decision if self.verdict and not self.error else Decision.FLAGGED
