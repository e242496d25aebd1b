"""Verify that a signed, unexpired approval under this policy covers the bytes of a folder or version.

Fails closed with every reason; the bytes are hashed in a private copy, and an alias is looked up once.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gate.attestations.auditing import holds, moved
from gate.attestations.coverage import Commitment
from gate.attestations.envelope import Expected, Verified, envelope_digest, open_envelope, verify
from gate.attestations.keys import PublicKey
from gate.attestations.log import Audit, ReviewLog
from gate.attestations.standing import not_newest, overruled
from gate.attestations.statement import Predicate, Statement
from gate.check.pull import downloaded
from gate.promotion.delivery import deliver, require_same, require_target
from gate.records.artifact import ModelRef, build_manifest
from gate.records.policy import DownloadBounds
from gate.registries.contract import Registry

ATTESTATION_TAG = "gate.attestation"


@dataclass(frozen=True)
class Trust:
    """Requirements of a decision."""

    keys: Sequence[PublicKey]
    policy_digest: str | None
    """Digest of the policy; None for any policy that the key's holder signed."""
    candidate: str | None = None
    """Registered model of the candidate; None for any."""
    log: ReviewLog | None = field(default=None, repr=False)
    """Log that must hold no newer decision and no rejection of the same bytes, if given."""
    stores: tuple[str, ...] = ()
    """The policy's `artifact-stores`, allowed for downloads beside the tracking server."""
    head: str | None = None
    """Hash that a line of the log must have, known from elsewhere: the log was not cut off before it."""
    committed: bool = False
    """Whether the policy must have been committed to before the scan."""
    download: DownloadBounds = field(kw_only=True)
    """The policy's bounds of a download."""


@dataclass(frozen=True)
class Looked:
    """The bytes that were verified, and the result."""

    what: str
    digest: str
    verified: Verified

    @property
    def holds(self) -> bool:
        """Whether the approval holds."""
        return self.verified.holds


def now() -> dt.datetime:
    """Return the current time; never one from the environment, which could keep an expired decision valid."""
    return dt.datetime.now(dt.UTC)


def verify_folder(folder: Path, envelope: str, trust: Trust, at: dt.datetime, what: str = "") -> Looked:
    """Hash a model folder and verify its attestation against bytes, policy, time and log."""
    manifest, problems = build_manifest(folder)
    expected = Expected(manifest.digest, trust.policy_digest, candidate=trust.candidate)
    found = verify(envelope, trust.keys, at, expected)
    reasons = (*found.reasons, *problems, *superseded(found, envelope, trust), *uncommitted(found, trust))
    return Looked(what or str(folder), manifest.digest, Verified(found.statement, found.key_id, reasons))


def verify_version(registry: Registry, uri: str, trust: Trust, at: dt.datetime, to: Path | None = None) -> Looked:
    """Download the version that a URI names now and verify it by the attestation in its tag.

    The files of an approval that holds are copied to the folder `to`, where one is named; it is empty, or holds what
    an earlier run left.
    """
    if to is not None:
        require_target(to)
    ref = registry.resolve(uri)
    envelope = registry.facts(ref).tags.get(ATTESTATION_TAG, "")
    if to is not None and (claimed := open_envelope(envelope, trust.keys).statement) is not None:
        require_same(to, claimed.covered_digests)
    with downloaded(registry.allowing(trust.stores), ref, trust.download) as folder:
        looked = verify_folder(folder, envelope, trust, at, str(ref))
        if to is not None and looked.holds:
            deliver(folder, to, looked.digest)
    return looked


def uncommitted(found: Verified, trust: Trust) -> tuple[str, ...]:
    """Return the reason why no commitment before the scan can be shown, where one is required."""
    if not trust.committed or found.statement is None:
        return ()
    predicate = found.statement.predicate
    if fault := _fault_of_commitment(predicate):
        return (fault,)
    assert predicate.coverage is not None
    made = predicate.coverage.commitment
    assert made is not None
    return _unlogged(made, predicate.model, trust.log) if trust.log is not None else ()


_COMMITTED = "expected the policy to be committed to before the scan (--require-commitment)"
_CHECK_AGAIN = "Give `gate check`, or `gate pull` where the steps are apart, the signing key."


def _fault_of_commitment(predicate: Predicate) -> str:
    """Return what is wrong with what a decision says of its commitment; empty where nothing is."""
    if predicate.coverage is None:
        told = f"It was decided by gate {predicate.gate_version}, whose decisions tell no commitment"
        return f"{told}; {_COMMITTED}. {_CHECK_AGAIN}"
    made = predicate.coverage.commitment
    if made is None:
        return f"No commitment stands in the decision; {_COMMITTED}. {_CHECK_AGAIN}"
    if made.policy_digest != predicate.policy_digest:
        digests = f"expected {predicate.policy_digest}, got {made.policy_digest}"
        return f"Another policy was committed to before the scan: {digests}. {_CHECK_AGAIN}"
    if made.resumed:
        when = "The commitment was made when measurements of an interrupted scan lay there already"
        return f"{when}; {_COMMITTED}. Check again in an empty --report-dir."
    if not made.before_the_scan:
        times = f"committed to at {made.at.isoformat()}, and the scan began at {made.scan_began.isoformat()}"
        return f"The policy was {times}; {_COMMITTED}. {_CHECK_AGAIN}"
    return ""


def _unlogged(made: Commitment, model: ModelRef, log: ReviewLog) -> tuple[str, ...]:
    """Return a reason unless the log holds the commitment on the line that the decision names."""
    if made.log_line is None:
        return ("The commitment is in no review log; expected a line of it, since a log was given (--audit-log).",)
    found = log.read()
    if found.faults:
        return (f"The review log is damaged, so that it shows no commitment: {found.faults[0]}",)
    line = found.entries[made.log_line - 1] if made.log_line <= len(found.entries) else None
    if (
        line is None
        or (line.event, line.model) != ("commitment", model)
        or envelope_digest(line.envelope) != made.signed
    ):
        return (f"Line {made.log_line} of the review log is not the commitment that the decision names.",)
    return ()


def superseded(found: Verified, envelope: str, trust: Trust) -> tuple[str, ...]:
    """Return the reasons of the log, where one is given, against a decision."""
    if trust.log is None or found.statement is None:
        return ()
    return against(found.statement, envelope, trust.log.whole(), trust)


def against(statement: Statement, envelope: str, log: Audit, trust: Trust) -> tuple[str, ...]:
    """Return the reasons of a log against a decision.

    The log is not the one that was signed, a newer decision stands in it, or a rejection of the same bytes does.
    """
    cut = trust.head is not None and not holds(log, trust.head)
    return (
        *((f"The review log has no line {trust.head}: its end was cut off, or it is another log.",) if cut else ()),
        *(f"The review log was changed. {fault}" for fault in moved(log, trust.keys)),
        *not_newest(statement, envelope, log.entries),
        *overruled(statement, log.entries),
    )
