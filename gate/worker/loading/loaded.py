"""What was loaded of a candidate: a subject as far as it could be filled, and why not further."""

from dataclasses import dataclass

from gate.records.artifact import Artifact
from gate.records.bank_evidence import ReferenceEvidence
from gate.records.errors import UnexaminableError
from gate.records.evidence import Assurance
from gate.records.facts import ModelFacts
from gate.records.previous import VersionClaim
from gate.records.samples_evidence import SamplesEvidence
from gate.spaces.subject import Subject


@dataclass(frozen=True)
class Loaded:
    """A subject as far as it could be filled, and why not further."""

    subject: Subject
    facts: ModelFacts
    assurance: Assurance | None
    samples: SamplesEvidence | None
    problems: tuple[str, ...]
    training_absence: str = ""
    """Reason why the logged training set cannot be used, or empty."""
    references: tuple[ReferenceEvidence, ...] = ()
    previous: tuple[VersionClaim, ...] = ()
    previous_absence: str = ""
    """Reason why there is no version to compare with, or empty."""
    beside_absence: str = ""
    """Reason why no language model runs beside its base, or empty."""


def unread(artifact: Artifact, *errors: UnexaminableError) -> Loaded:
    """Return a subject of which nothing was read, and why."""
    return Loaded(Subject(artifact), ModelFacts(), None, None, tuple(map(sentence, errors)))


def sentence(error: UnexaminableError) -> str:
    """Return the message as a sentence with its advice, cut to what a record holds."""
    return error.sentence[:2000]
