"""`sign` and `verify`: a statement in a DSSE envelope, and every reason why an envelope does not hold.

The signature is checked first and over the bytes as they are; only then are they parsed. An envelope comes from a tag
that a trainer may write: whatever it is, `verify` answers with reasons and raises nothing.
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
"""What a tag of a model version holds."""

UNSIGNED = "unsigned"
"""What stands in the tag `gate.attestation` of a version whose verdict nobody signed."""

_SKEW = dt.timedelta(minutes=5)


@dataclass(frozen=True)
class Expected:
    """What a decision must be about; None where that is not compared, which the caller must say."""

    digest: str | None
    """Of the bytes at hand."""
    policy_digest: str | None
    model: ModelRef | None = None
    """The candidate version itself."""
    candidate: str | None = None
    """The registered model that the candidate must be a version of."""


@dataclass(frozen=True)
class Verified:
    """What became of an envelope: its statement where the signature is good, and every reason against it."""

    statement: Statement | None
    key_id: str = ""
    reasons: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether it is a trusted approval of the bytes at hand, today."""
        return self.statement is not None and not self.reasons


def sign(statement: Statement, key: SigningKey) -> str:
    """Return the statement's DSSE envelope as one line of JSON."""
    envelope = Envelope(statement.canonical_json(), PAYLOAD_TYPE, {})
    envelope.sign(key.signer)
    text = json.dumps(envelope.to_dict(), sort_keys=True, separators=(",", ":"))
    if len(text) > MAX_ENVELOPE_BYTES:
        raise UsageError(f"the signed decision has {len(text)} bytes; a tag holds {MAX_ENVELOPE_BYTES}")
    return text


def envelope_digest(envelope: str) -> str:
    """Return the name of an envelope: `sha256:` and the hash of its text."""
    return f"sha256:{hashlib.sha256(envelope.strip().encode()).hexdigest()}"


def open_envelope(envelope: str | bytes, keys: Sequence[PublicKey]) -> Verified:
    """Check the signature alone and return the statement, whatever it decides and however old it is."""
    raw = envelope.encode(errors="replace") if isinstance(envelope, str) else envelope
    if not raw.strip() or raw.strip() == UNSIGNED.encode():
        return Verified(None, reasons=("The verdict is unsigned.",))
    parsed = parse_envelope(raw)
    if parsed is None:
        return Verified(None, reasons=("The attestation is no DSSE envelope.",))
    if not isinstance(parsed.payload_type, str) or parsed.payload_type != PAYLOAD_TYPE:
        return Verified(None, reasons=("The attestation is of another kind than an in-toto statement.",))
    key = next((key for key in keys if _signed_by(parsed, key)), None)
    if key is None:
        ids = ", ".join(key.key_id[:16] for key in keys)
        return Verified(None, reasons=(f"No trusted key signed the attestation; trusted are {ids}.",))
    try:
        statement = Statement.from_json(parsed.payload, what="statement", limit=MAX_ENVELOPE_BYTES)
    except MalformedError as error:
        return Verified(None, key.key_id, (f"The signed statement is none that this gate understands: {error}",))
    return Verified(statement, key.key_id)


def parse_envelope(raw: bytes) -> Envelope | None:
    """Return an envelope whose signatures nobody has checked; None where it is none."""
    try:
        return Envelope.from_dict(parse_json(raw, what="envelope", limit=MAX_ENVELOPE_BYTES))
    except (MalformedError, FormatError, KeyError, TypeError, ValueError, AttributeError):
        return None


def claimed(envelope: str) -> Statement | None:
    """Return what an envelope says without asking who signed it: a claim, to be shown as one and believed by nobody."""
    parsed = parse_envelope(envelope.encode(errors="replace"))
    try:
        return Statement.from_json(parsed.payload, what="statement", limit=MAX_ENVELOPE_BYTES) if parsed else None
    except (MalformedError, TypeError):
        return None


def _signed_by(envelope: Envelope, key: PublicKey) -> bool:
    try:
        envelope.verify([key.key], 1)
    except (VerificationError, ValueError, TypeError, AttributeError):
        return False
    return True


def verify(envelope: str | bytes, keys: Sequence[PublicKey], now: dt.datetime, expected: Expected) -> Verified:
    """Return the statement and every reason why it is not a trusted approval of what is expected, at `now`."""
    opened = open_envelope(envelope, keys)
    if opened.statement is None:
        return opened
    return Verified(opened.statement, opened.key_id, (*opened.reasons, *_against(opened.statement, now, expected)))


def _other_bytes(statement: Statement, found: str) -> str:
    said = statement.predicate
    if found == said.model_digest and said.bundle_digest is not None:
        return (
            f"The decision covers the gate's bundle {said.bundle_digest}, not the candidate's own bytes, which these "
            "are; `gate promote` copies the bundle."
        )
    expected = " or ".join(statement.covered_digests) or "none, since no bundle was written"
    return f"The bytes are not those of the decision: expected {expected}, got {found}."


def _against(statement: Statement, now: dt.datetime, expected: Expected) -> tuple[str, ...]:
    said = statement.predicate
    reasons: list[str] = []
    if said.decision is not Decision.APPROVED:
        outcome = said.review.outcome if said.review else "flagged"
        words = {"rejected": "rejected by a reviewer", "waiting": "flagged, and too few reviewers have approved"}
        reasons.append(f"The signed decision is not approved: {words.get(outcome, 'flagged')}.")
    if expected.digest is not None and expected.digest not in statement.covered_digests:
        reasons.append(_other_bytes(statement, expected.digest))
    if expected.policy_digest is not None and expected.policy_digest != said.policy_digest:
        reasons.append(
            f"The decision was made under another policy: expected {expected.policy_digest}, got {said.policy_digest}."
        )
    if expected.model is not None and expected.model != said.model:
        reasons.append(f"The decision is about another version: expected {expected.model}, got {said.model}.")
    if expected.candidate is not None and expected.candidate != said.model.name:
        reasons.append(f"The decision is about a version of {said.model.name!r}; expected {expected.candidate!r}.")
    if now >= said.expires_at:
        reasons.append(f"The decision expired at {said.expires_at.isoformat()}.")
    if said.decided_at > now + _SKEW:
        reasons.append(f"The decision is dated in the future, {said.decided_at.isoformat()}; check the clocks.")
    return tuple(reasons)
