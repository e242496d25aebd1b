"""What signs a check's decision."""

from dataclasses import dataclass

from gate.attestations.keys import SigningKey
from gate.attestations.log import ReviewLog
from gate.attestations.model_signature import ModelKey


@dataclass(frozen=True)
class Signing:
    """The key that signs a decision, and the log that gets it first."""

    key: SigningKey
    log: ReviewLog | None = None
    model_key: ModelKey | None = None
    """Key that signs the files of an approved bundle; None leaves them unsigned."""
