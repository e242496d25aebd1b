"""What a reviewer looks at: a version with the decision that a trusted key signed about it, and those that wait."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gate.attestations.envelope import Verified, envelope_digest, open_envelope
from gate.attestations.keys import PublicKey
from gate.promotion.verification import ATTESTATION_TAG
from gate.records.artifact import ModelRef
from gate.records.finding import Decision
from gate.registries.contract import ProductionRegistry, Registry


@dataclass(frozen=True)
class Waiting:
    """A flagged version and its decision under a trusted key."""

    ref: ModelRef
    found: Verified
    tags: Mapping[str, str]

    @property
    def state(self) -> str:
        """One word: unsigned, waiting, rejected, approved."""
        if self.found.statement is None:
            return "unsigned"
        predicate = self.found.statement.predicate
        if predicate.review is not None:
            return predicate.review.outcome
        return "approved" if predicate.decision is Decision.APPROVED else "waiting"

    @property
    def digest(self) -> str:
        """Name of the envelope that stands on the version, whoever signed it."""
        return envelope_digest(self.tags.get(ATTESTATION_TAG, ""))


def waiting(registry: ProductionRegistry, name: str | None, keys: Sequence[PublicKey]) -> list[Waiting]:
    """Return the flagged versions of one registered model or of all, newest first."""
    flagged = registry.find_versions(name, {"gate.decision": Decision.FLAGGED.value})
    return [_waiting(ref, facts.tags, keys) for ref, facts in flagged]


def look(registry: Registry, uri: str, keys: Sequence[PublicKey]) -> Waiting:
    """Return the one version that a URI names."""
    ref = registry.resolve(uri)
    return _waiting(ref, registry.facts(ref).tags, keys)


def _waiting(ref: ModelRef, tags: Mapping[str, str], keys: Sequence[PublicKey]) -> Waiting:
    found = open_envelope(tags.get(ATTESTATION_TAG, ""), keys)
    if found.statement is not None and found.statement.predicate.model != ref:
        copied = f"The attestation is about {found.statement.predicate.model}, and was copied here."
        found = Verified(None, found.key_id, (copied,))
    return Waiting(ref, found, tags)
