"""What stands beside a reviewed decision, as beside a scan's: attestation, verification summary, and the signature.

The claims of limits are the scan's, and are not made anew: a review changes none of them.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from gate.attestations.envelope import envelope_digest
from gate.attestations.model_signature import model_signature
from gate.attestations.statement import Statement
from gate.check.beside import signed_summary
from gate.check.bundle.compose import FOLDER as BUNDLE_FOLDER
from gate.check.files import ATTESTATION, MODEL_SIGNATURE, SUMMARY, private_directory
from gate.check.signing import Signing
from gate.promotion.bundles import fetch_bundle, kept_copies
from gate.records.artifact import Manifest, ModelRef
from gate.records.finding import Decision
from gate.records.policy import DownloadBounds
from gate.registries.contract import Registry


def bundle_manifest(registry: Registry, digest: str, bounds: DownloadBounds) -> Manifest:
    """Return the files of a kept bundle, fetched within the bounds and hashed.

    An `OtherBytesError` says that no place holds its bytes.
    """
    with private_directory() as folder:
        return fetch_bundle(kept_copies(registry, digest, bounds), digest, folder)[1]


def review_files(
    statement: Statement, envelope: str, signing: Signing, bundle: Manifest | None = None
) -> Mapping[str, str]:
    """Return the files by name; of an approved bundle whose files are given, and with a key for files, `model.sig`."""
    made = {ATTESTATION: envelope + "\n", SUMMARY: signed_summary(statement, envelope, signing)}
    if bundle is None or signing.model_key is None or statement.predicate.decision is not Decision.APPROVED:
        return made
    return {**made, MODEL_SIGNATURE: model_signature(bundle, BUNDLE_FOLDER, signing.model_key)}


def store(registry: Registry, ref: ModelRef, files: Mapping[str, str], envelope: str) -> str:
    """Keep the files in a run of the gate's own, one for each signed decision, and return their URI."""
    with tempfile.TemporaryDirectory(prefix="gate-review-") as folder:
        for name, text in files.items():
            (Path(folder) / name).write_text(text)
        return registry.log_reports(ref, Path(folder), envelope_digest(envelope)[7:])
