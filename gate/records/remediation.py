"""The result of a remediation as one frozen value: `remediation.json`, and all that its renderers know.

It contains every attempt, also those that do not hold: a report of the one that passed would hide how many were made.
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
    """One attempt, and the reasons why it does not hold."""

    result: RepairResult
    broken: tuple[Text, ...] = ()


class RemediationReport(Record):
    """One remediation, ready to be rendered."""

    schema_version: Literal[1] = 1
    gate_version: str
    made_at: str
    """Time in UTC, ISO 8601, to the second."""
    uri: str
    parent: ModelRef
    parent_digest: str
    """Digest of the parent's own files, even if the bundle made of them was repaired."""
    evidence_digest: str
    policy: str
    """Name and digest of the policy, as name@digest."""
    level: Finite
    samples: Text
    """Source of the clean samples."""
    samples_sha256: str
    bounds: RepairBounds
    suspects: tuple[Location, ...]
    """Classes or pairs that the parent's verdict names, or else its scan."""
    findings: tuple[Text, ...]
    named: tuple[Named, ...] = ()
    neurons: tuple[Text, ...] = ()
    training: tuple[Text, ...] = ()
    """Parts of the training set to inspect, where a detector of the training set named them."""
    pictures: tuple[Picture, ...] = Field(default=(), max_length=64)
    """Pictures of the suspects, from the parent's evidence."""
    planned: tuple[str, ...] = Field(min_length=1)
    """Methods in the order in which they are tried."""
    seeds: tuple[int, ...]
    attempts: tuple[Attempt, ...] = ()
    """Attempts that were made, in order; if any holds, it is the last."""
    outcome: Outcome
    bundle_digest: str | None = None
    registered: ModelRef | None = None
    commands: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """`sha256:` and the hash of the report without the registered version, whose tag holds this digest."""
        plain = self.model_copy(update={"registered": None, "commands": ()})
        return f"sha256:{plain.content_sha256}"

    @property
    def held(self) -> Attempt | None:
        """The attempt that holds, if one does."""
        return next((attempt for attempt in self.attempts if not attempt.broken), None)

    @property
    def shown(self) -> Attempt | None:
        """The attempt that is compared in full: the one that holds, else the measured one with the fewest reasons."""
        measured = [attempt for attempt in self.attempts if attempt.result.after is not None]
        return self.held or min(measured, key=lambda attempt: len(attempt.broken), default=None)

    @property
    def hidden(self) -> tuple[tuple[str, str], ...]:
        """Method and place of every attempt that only hid the trigger: the old one fails, a new small one works."""
        return tuple((a.result.method, place) for a in self.attempts for place in only_hidden(a.result, self.bounds))


def attempt_of(result: RepairResult, suspects: tuple[Location, ...], bounds: RepairBounds) -> Attempt:
    """Return an attempt with the reasons why it does not hold."""
    return Attempt(result=result, broken=tuple(text[:2000] for text in broken_by(result, suspects, bounds)))
