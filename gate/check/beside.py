"""What stands beside a signed decision for other tools: claims, a summary, a bill of materials, a signature over files.

Each is a file of the check, made anew with the decision. No command of the gate reads them.
"""

import hashlib
from functools import cache
from pathlib import Path
from urllib.parse import quote

import gate
from gate.attestations.claims import bill_of_materials, eval_results, payload_of, verification_summary
from gate.attestations.envelope import sealed
from gate.attestations.model_signature import model_signature
from gate.attestations.statement import Statement
from gate.check.bundle.compose import FOLDER as BUNDLE_FOLDER
from gate.check.files import BESIDE, EVAL_RESULT, MODEL_SIGNATURE, SIGNED_BILL, SUMMARY, CheckFiles
from gate.check.signing import Signing
from gate.records.artifact import EVERY_FILE, build_manifest
from gate.records.evidence import Evidence
from gate.records.finding import Decision

_MAX_BILL = 4 << 20
"""Bytes of a signed bill: a thousand files and every limit take a tenth of it."""
_SUFFIXES = {".py", ".json", ".yml", ".txt", ".j2", ".css"}


def write_beside(
    files: CheckFiles, statement: Statement, envelope: str, evidence: Evidence, signing: Signing, bill: str
) -> None:
    """Write what goes with a decision; what does not go with it is removed.

    `bill` is the CycloneDX bill of the decision's report, rendered anew and never read from the directory.
    """
    remove_beside(files)
    claims = eval_results(statement, evidence, harness_digest())
    if claims is not None:
        files.write(EVAL_RESULT, sealed(payload_of(claims), signing.key) + "\n")
    files.write(SUMMARY, signed_summary(statement, envelope, signing))
    files.write(SIGNED_BILL, sealed(payload_of(bill_of_materials(statement, bill)), signing.key, _MAX_BILL) + "\n")
    # A signature over files is taken for an approval by whoever verifies it alone.
    approved = statement.predicate.decision is Decision.APPROVED
    digest = statement.predicate.bundle_digest
    if signing.model_key is None or not approved or digest is None:
        return
    manifest = build_manifest(files.root / BUNDLE_FOLDER, ignored=EVERY_FILE)[0]
    if manifest.digest == digest:
        files.write(MODEL_SIGNATURE, model_signature(manifest, BUNDLE_FOLDER, signing.model_key))


def signed_summary(statement: Statement, envelope: str, signing: Signing) -> str:
    """Return the text of a decision's `vsa.json`."""
    policy = f"urn:model-promotion-gate:policy:{quote(statement.predicate.policy_name, safe='')}"
    return sealed(payload_of(verification_summary(statement, envelope, policy)), signing.key) + "\n"


def remove_beside(files: CheckFiles) -> None:
    """Remove what an earlier decision left."""
    for name in BESIDE:
        (files.root / name).unlink(missing_ok=True)


@cache
def harness_digest() -> str:
    """Return the digest of the gate itself: the paths and contents of its package's files."""
    root = Path(gate.__file__).parent
    seen = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.suffix in _SUFFIXES and path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            seen.update(f"{content}  {path.relative_to(root).as_posix()}\n".encode())
    return f"sha256:{seen.hexdigest()}"
