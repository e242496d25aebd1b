"""Does a signed, unexpired approval under this policy cover these very bytes? Of a folder, or of a version.

Fails closed and names every reason; the bytes are hashed in a private copy, and an alias is looked up once.
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
    """What a decision is held against."""

    keys: Sequence[PublicKey]
    policy_digest: str | None
    """None: any policy that the key's holder signed."""
    candidate: str | None = None
    """The registered model that the candidate must come from; None for any."""
    log: ReviewLog | None = field(default=None, repr=False)
    """Where given, no newer decision about the same bytes may stand in it."""
    stores: tuple[str, ...] = ()
    """The policy's `artifact-stores`, out of which bytes may be downloaded beside the tracking server."""


@dataclass(frozen=True)
class Looked:
    """What was looked at and what came of it."""

    what: str
    digest: str
    verified: Verified

    @property
    def holds(self) -> bool:
        """Whether the approval holds."""
        return self.verified.holds


def now() -> dt.datetime:
    """Return this moment; never a time from the environment, which would let an expired decision hold."""
    return dt.datetime.now(dt.UTC)


def verify_folder(folder: Path, envelope: str, trust: Trust, at: dt.datetime, what: str = "") -> Looked:
    """Hash a model folder and hold its attestation against bytes, policy, time and log."""
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
    """Return a reason where the log's newest decision about the same bytes is another one."""
    if log is None or found.statement is None:
        return ()
    said = found.statement.predicate
    newest = log.newest(said.model, said.model_digest)
    if newest is None:
        return ("The review log knows no decision about these bytes; `gate check` writes it there with --audit-log.",)
    if same_decision(newest, envelope):
        return ()
    return (f"The review log holds a newer decision about these bytes: {newest.outcome}, {newest.at.isoformat()}.",)
