"""The commitment before a scan, in `commitment.json` and the review log, and what a decision may say of it later."""

from contextlib import suppress
from functools import partial

from gate.attestations.commitment import Committed, open_commitment, sign_commitment, utc_now
from gate.attestations.coverage import Commitment
from gate.attestations.envelope import MAX_ENVELOPE_BYTES, envelope_digest
from gate.attestations.keys import SigningKey
from gate.attestations.log import Audit, Said
from gate.check.files import COMMITMENT, CheckFiles, Pulled
from gate.check.resume import Unfinished
from gate.check.signing import Signing
from gate.records.evidence import Evidence
from gate.records.policy import Policy
from gate.records.record import MalformedError, read_bounded


def commit(
    files: CheckFiles,
    pulled: Pulled,
    policy: Policy,
    signing: Signing | None,
    *,
    seed: int | None = None,
    bank_digest: str | None = None,
    scan: CheckFiles | None = None,
) -> None:
    """Bind policy, bytes, samples and an adapter's base before anything is measured.

    Without a key an earlier check's commitment is removed. The commitment of an interrupted scan that bound the same
    stays: it was made before what lies there was measured. `scan` is where the scan has its files, if not in `files`.
    """
    if signing is None:
        (files.root / COMMITMENT).unlink(missing_ok=True)
        return
    resumed, now = Unfinished((scan or files).root).path.exists(), utc_now()
    made = Committed(
        model=pulled.model,
        model_digest=pulled.digest,
        policy_name=policy.name,
        policy_digest=policy.digest,
        samples_digest=f"sha256:{pulled.samples.sha256}" if pulled.samples else None,
        bank_digest=bank_digest,
        base_digest=pulled.base.manifest.digest if pulled.base else None,
        seed=seed,
        committed_at=now,
        resumed=resumed,
    )
    earlier = open_commitment(_kept(files), (signing.key.public,)) if resumed else None
    if earlier is not None and earlier.same(made):
        return
    if signing.log is not None:
        envelope = signing.log.append(partial(_entered, made, signing.key), now).envelope
    else:
        envelope = sign_commitment(made, signing.key)
    files.write(COMMITMENT, envelope + "\n")


def _entered(made: Committed, key: SigningKey, log: Audit) -> Said:
    envelope = sign_commitment(made.model_copy(update={"log_head": log.head}), key)
    return Said("commitment", made.model, made.model_digest, made.policy_digest, envelope)


def commitment_of(files: CheckFiles, evidence: Evidence, signing: Signing) -> Commitment | None:
    """Return what is known of the commitment that evidence was measured under; None where it cannot be relied on.

    It must be signed by the decision's own key, and about the bytes, samples, bank and base of the evidence.
    """
    envelope = _kept(files)
    made = open_commitment(envelope, (signing.key.public,))
    if made is None or evidence.begun_at is None or not _about(made, evidence):
        return None
    log = signing.log
    line = log.commitment(made.model, made.model_digest, made.policy_digest, evidence.begun_at) if log else None
    return Commitment(
        policy_digest=made.policy_digest,
        at=made.committed_at,
        scan_began=evidence.begun_at,
        signed=envelope_digest(envelope),
        log_line=line.number if line and line.envelope.strip() == envelope.strip() else None,
        resumed=made.resumed,
    )


def _kept(files: CheckFiles) -> str:
    with suppress(MalformedError, OSError):
        return read_bounded(files.root / COMMITMENT, limit=MAX_ENVELOPE_BYTES + 1).decode(errors="replace")
    return ""


def _about(made: Committed, evidence: Evidence) -> bool:
    samples = f"sha256:{evidence.samples.sha256}" if evidence.samples else made.samples_digest
    bank = evidence.bank.digest if evidence.bank else None
    return (
        (made.model, made.model_digest) == (evidence.model, evidence.manifest_digest)
        and made.samples_digest == samples
        and made.bank_digest in {None, bank}
        and made.base_digest == (evidence.base.digest if evidence.base else None)
        and made.seed in {None, evidence.seed}
    )
