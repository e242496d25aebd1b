"""What a remediation came to, as one frozen value: `remediation.json`, and all that its renderers may know.

Put together by `gate.remediate`. It holds every attempt, those that do not hold too: a report that showed the one that
passed alone would hide how often it was tried.
"""

from typing import Literal

from pydantic import Field

from gate.records.artifact import ModelRef
from gate.records.evidence import Location, Picture
from gate.records.fields import Finite, Text
from gate.records.record import Record
from gate.records.repair import RepairBounds, RepairResult, broken_by, only_hidden

REMEDIATION = "remediation.json"

Outcome = Literal["repaired", "none-holds", "does-not-fit"]


class Named(Record):
    """One statistic by which the parent's scan named a place."""

    place: Text
    detector: Text
    metric: Text
    value: Finite


class Attempt(Record):
    """One attempt, and why it does not hold."""

    result: RepairResult
    broken: tuple[Text, ...] = ()
    """Empty where it holds by its own measures."""


class RemediationReport(Record):
    """One remediation, ready to be rendered."""

    schema_version: Literal[1] = 1
    gate_version: str
    made_at: str
    """UTC, ISO 8601, to the second."""
    uri: str
    parent: ModelRef
    parent_digest: str
    """Of the parent's own files, whether they or the bundle made of them were repaired."""
    evidence_digest: str
    policy: str
    """name@digest"""
    level: Finite
    samples: Text
    """Their source."""
    samples_sha256: str
    bounds: RepairBounds
    suspects: tuple[Location, ...]
    """Classes or pairs that the parent's verdict, or else its scan, names."""
    findings: tuple[Text, ...]
    named: tuple[Named, ...] = ()
    neurons: tuple[Text, ...] = ()
    training: tuple[Text, ...] = ()
    """What to look at in the training set, where a detector of the training set named it."""
    pictures: tuple[Picture, ...] = Field(default=(), max_length=64)
    """Of the suspects, from the parent's evidence."""
    planned: tuple[str, ...] = Field(min_length=1)
    """The methods, in the order in which they are tried."""
    seeds: tuple[int, ...]
    attempts: tuple[Attempt, ...] = ()
    """Those that were made, in order; the last one holds where any does."""
    outcome: Outcome
    bundle_digest: str | None = None
    registered: ModelRef | None = None
    """The new version; None where nothing was registered."""
    commands: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """`sha256:` and the hash of the report as it was before the version was made, whose tag names it."""
        plain = self.model_copy(update={"registered": None, "commands": ()})
        return f"sha256:{plain.content_sha256}"

    @property
    def held(self) -> Attempt | None:
        """The attempt that holds, if one does."""
        return next((attempt for attempt in self.attempts if not attempt.broken), None)

    @property
    def shown(self) -> Attempt | None:
        """The attempt whose measures are compared in full: the one that holds, else the measured one least broken."""
        measured = [attempt for attempt in self.attempts if attempt.result.after is not None]
        return self.held or min(measured, key=lambda attempt: len(attempt.broken), default=None)

    @property
    def hidden(self) -> tuple[tuple[str, str], ...]:
        """Method and place of every attempt that only hid the trigger: the old one dead, a new small one found."""
        return tuple((a.result.method, place) for a in self.attempts for place in only_hidden(a.result, self.bounds))


def attempt_of(result: RepairResult, suspects: tuple[Location, ...], bounds: RepairBounds) -> Attempt:
    """Return an attempt with what stands against it."""
    return Attempt(result=result, broken=tuple(text[:2000] for text in broken_by(result, suspects, bounds)))
