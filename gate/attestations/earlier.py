"""A signed decision that stands on a version, read without a key: what it says it is, and no more than a claim.

Whoever may set tags can put anything there. So this decides about one thing alone: that a run which judged nothing does
not replace it. Nothing is approved by it, and `verify` believes no word of it without the signature.
"""

from dataclasses import dataclass

from gate.attestations.envelope import PAYLOAD_TYPE, claimed, parse_envelope
from gate.records.finding import Decision


@dataclass(frozen=True)
class Earlier:
    """What a signed decision says of itself."""

    word: str
    """approved, flagged or rejected."""
    digests: frozenset[str] = frozenset()
    """Of the bytes that it is about: the candidate's, and the bundle's; none where it cannot be read."""

    def is_about(self, digest: str | None) -> bool:
        """Tell whether it may be about these bytes; None where they are not known."""
        return digest is None or not self.digests or digest in self.digests


def earlier_decision(attestation: str) -> Earlier | None:
    """Return what the envelope in the tag `gate.attestation` claims; None where it is no signed decision."""
    envelope = parse_envelope(attestation.encode(errors="replace"))
    if envelope is None or envelope.payload_type != PAYLOAD_TYPE or not envelope.signatures:
        return None
    statement = claimed(attestation)
    if statement is None:
        return Earlier("made by another version of the gate")
    said = statement.predicate
    rejected = said.review is not None and said.review.outcome == "rejected"
    word = "rejected" if rejected else Decision(said.decision).value
    return Earlier(word, frozenset(filter(None, (said.model_digest, said.bundle_digest))))
