"""`sign` and `verify`: a statement in a DSSE envelope, and every reason why an envelope does not hold.

The signature over the raw bytes is checked before they are parsed. An envelope comes from a candidate-controlled tag:
for any content `verify` returns reasons and raises nothing.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import FormatError, VerificationError

from gate.attestations.keys import PublicKey, SigningKey
from gate.attestations.statement import Statement
from gate.records.artifact import ModelRef
from gate.records.errors import UsageError
from gate.records.finding import Decision
from gate.records.record import MalformedError, parse_json

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_ENVELOPE_BYTES = 100_000
"""Capacity of a model version's tag."""
UNSIGNED = "unsigned"
"""Value of the tag `gate.attestation` of an unsigned verdict."""
_SKEW = dt.timedelta(minutes=5)


@dataclass(frozen=True)
class Expected:
    """The subject that a decision must have; None is not compared, which the caller must say."""

    digest: str | None
    """Digest of the bytes at hand."""
    policy_digest: str | None
    model: ModelRef | None = None
    """Candidate version."""
    candidate: str | None = None
    """Registered model of the candidate."""


@dataclass(frozen=True)
class Verified:
    """The result for an envelope: its statement where the signature is good, and every reason against it."""

    statement: Statement | None
    key_id: str = ""
    reasons: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether it is a trusted approval of the bytes at hand, today."""
        return self.statement is not None and not self.reasons


@dataclass(frozen=True)
class Earlier:
    """The claim of a signed decision, read without a key; anybody who may set tags can forge it."""

    word: str
    """approved, flagged or rejected."""
    digests: frozenset[str] = frozenset()
    """Digests of the candidate and the bundle; none where the claim cannot be read."""

    def is_about(self, digest: str | None) -> bool:
        """Tell whether it may be about these bytes; None for unknown bytes."""
        return digest is None or not self.digests or digest in self.digests


@dataclass(frozen=True)
class Opened:
    """A payload whose signature is good, or the reason why there is none."""

    payload: bytes | None
    key_id: str = ""
    reason: str = ""


def sign(statement: Statement, key: SigningKey) -> str:
    """Return the statement's DSSE envelope as one line of JSON."""
    return sealed(statement.canonical_json(), key)


def sealed(payload: bytes, key: SigningKey, limit: int = MAX_ENVELOPE_BYTES) -> str:
    """Return any in-toto statement's DSSE envelope as one line of JSON; a larger one is a `UsageError`.

    The limit is a tag's, where nothing else is said.
    """
    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    envelope.sign(key.signer)
    text = json.dumps(envelope.to_dict(), sort_keys=True, separators=(",", ":"))
    if len(text) > limit:
        raise UsageError(f"the signed statement has {len(text)} bytes; at most {limit} are kept")
    return text


def envelope_digest(envelope: str) -> str:
    """Return the name of an envelope: `sha256:` and the hash of its text."""
    return f"sha256:{hashlib.sha256(envelope.strip().encode()).hexdigest()}"


def open_envelope(envelope: str | bytes, keys: Sequence[PublicKey]) -> Verified:
    """Check only the signature and return the statement, with any decision and of any age."""
    opened = open_payload(envelope, keys)
    if opened.payload is None:
        return Verified(None, opened.key_id, (opened.reason,))
    try:
        statement = Statement.from_json(opened.payload, what="statement", limit=MAX_ENVELOPE_BYTES)
    except MalformedError as error:
        reason = f"The signed statement is none that this gate understands: {error}"
        return Verified(None, opened.key_id, (reason,))
    return Verified(statement, opened.key_id)


def open_payload(envelope: str | bytes, keys: Sequence[PublicKey]) -> Opened:
    """Check the signature of an in-toto statement of any kind, and return its unparsed bytes."""
    raw = envelope.encode(errors="replace") if isinstance(envelope, str) else envelope
    if not raw.strip() or raw.strip() == UNSIGNED.encode():
        return Opened(None, reason="The verdict is unsigned.")
    parsed = parse_envelope(raw)
    if parsed is None:
        return Opened(None, reason="The attestation is no DSSE envelope.")
    if not isinstance(parsed.payload_type, str) or parsed.payload_type != PAYLOAD_TYPE:
        return Opened(None, reason="The attestation is of another kind than an in-toto statement.")
    key = next((key for key in keys if _signed_by(parsed, key)), None)
    if key is None:
        ids = ", ".join(key.key_id[:16] for key in keys)
        return Opened(None, reason=f"No trusted key signed the attestation; trusted are {ids}.")
    return Opened(parsed.payload, key.key_id)


def parse_envelope(raw: bytes) -> Envelope | None:
    """Return an envelope with unchecked signatures; None where the bytes are none."""
    try:
        return Envelope.from_dict(parse_json(raw, what="envelope", limit=MAX_ENVELOPE_BYTES))
    except (MalformedError, FormatError, KeyError, TypeError, ValueError, AttributeError):
        return None


def claimed(envelope: str) -> Statement | None:
    """Return an envelope's statement without checking its signature: a claim, to be shown as one."""
    parsed = parse_envelope(envelope.encode(errors="replace"))
    try:
        return Statement.from_json(parsed.payload, what="statement", limit=MAX_ENVELOPE_BYTES) if parsed else None
    except (MalformedError, TypeError):
        return None


def earlier_decision(attestation: str) -> Earlier | None:
    """Return the claim of the envelope in the tag `gate.attestation`; None where it is no signed decision."""
    envelope = parse_envelope(attestation.encode(errors="replace"))
    if envelope is None or envelope.payload_type != PAYLOAD_TYPE or not envelope.signatures:
        return None
    statement = claimed(attestation)
    if statement is None:
        return Earlier("made by another version of the gate")
    predicate = statement.predicate
    rejected = predicate.review is not None and predicate.review.outcome == "rejected"
    word = "rejected" if rejected else Decision(predicate.decision).value
    return Earlier(word, frozenset(filter(None, (predicate.model_digest, predicate.bundle_digest))))


def _signed_by(envelope: Envelope, key: PublicKey) -> bool:
    try:
        envelope.verify([key.key], 1)
    except (VerificationError, ValueError, TypeError, AttributeError):
        return False
    return True


def verify(envelope: str | bytes, keys: Sequence[PublicKey], now: dt.datetime, expected: Expected) -> Verified:
    """Return the statement and every reason why it is no trusted approval of the expected subject at `now`."""
    opened = open_envelope(envelope, keys)
    if opened.statement is None:
        return opened
    return Verified(opened.statement, opened.key_id, (*opened.reasons, *_against(opened.statement, now, expected)))


def _other_bytes(statement: Statement, found: str) -> str:
    predicate = statement.predicate
    if found == predicate.model_digest and predicate.bundle_digest is not None:
        return (
            f"The decision covers the gate's bundle {predicate.bundle_digest}, not the candidate's own bytes, which "
            "these are; `gate promote` copies the bundle."
        )
    expected = " or ".join(statement.covered_digests) or "none, since no bundle was written"
    return f"The bytes are not those of the decision: expected {expected}, got {found}."


def _against(statement: Statement, now: dt.datetime, expected: Expected) -> tuple[str, ...]:
    predicate = statement.predicate
    reasons: list[str] = []
    if predicate.decision is not Decision.APPROVED:
        outcome = predicate.review.outcome if predicate.review else "flagged"
        words = {"rejected": "rejected by a reviewer", "waiting": "flagged, and too few reviewers have approved"}
        reasons.append(f"The signed decision is not approved: {words.get(outcome, 'flagged')}.")
    if expected.digest is not None and expected.digest not in statement.covered_digests:
        reasons.append(_other_bytes(statement, expected.digest))
    if expected.policy_digest is not None and expected.policy_digest != predicate.policy_digest:
        digests = f"expected {expected.policy_digest}, got {predicate.policy_digest}"
        reasons.append(f"The decision was made under another policy: {digests}.")
    if expected.model is not None and expected.model != predicate.model:
        reasons.append(f"The decision is about another version: expected {expected.model}, got {predicate.model}.")
    if expected.candidate is not None and expected.candidate != predicate.model.name:
        reasons.append(f"The decision is about a version of {predicate.model.name!r}; expected {expected.candidate!r}.")
    if now >= predicate.expires_at:
        reasons.append(f"The decision expired at {predicate.expires_at.isoformat()}.")
    if predicate.decided_at > now + _SKEW:
        reasons.append(f"The decision is dated in the future, {predicate.decided_at.isoformat()}; check the clocks.")
    return tuple(reasons)
