"""Verify that a signed, unexpired approval under this policy covers the bytes of a folder or version.

Fails closed with every reason; the bytes are hashed in a private copy, and an alias is looked up once.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gate.attestations.envelope import Expected, Verified, verify
from gate.attestations.keys import PublicKey
from gate.attestations.log import ReviewLog, same_decision
from gate.check.pull import downloaded
from gate.records.artifact import build_manifest
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
    """Log that must hold no newer decision about the same bytes, if given."""
    stores: tuple[str, ...] = ()
    """The policy's `artifact-stores`, allowed for downloads beside the tracking server."""


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
    reasons = (*found.reasons, *problems, *superseded(found, envelope, trust.log))
    return Looked(what or str(folder), manifest.digest, Verified(found.statement, found.key_id, reasons))


def verify_version(registry: Registry, uri: str, trust: Trust, at: dt.datetime) -> Looked:
    """Download the version that a URI names now and verify it by the attestation in its tag."""
    ref = registry.resolve(uri)
    envelope = registry.facts(ref).tags.get(ATTESTATION_TAG, "")
    with downloaded(registry.allowing(trust.stores), ref) as folder:
        return verify_folder(folder, envelope, trust, at, str(ref))


def superseded(found: Verified, envelope: str, log: ReviewLog | None) -> tuple[str, ...]:
    """Return a reason if the log's newest decision about the same bytes is another one."""
    if log is None or found.statement is None:
        return ()
    predicate = found.statement.predicate
    newest = log.newest(predicate.model, predicate.model_digest)
    if newest is None:
        return ("The review log knows no decision about these bytes; `gate check` writes it there with --audit-log.",)
    if same_decision(newest, envelope):
        return ()
    return (f"The review log holds a newer decision about these bytes: {newest.outcome}, {newest.at.isoformat()}.",)
