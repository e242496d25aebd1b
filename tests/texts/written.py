"""Bundles of text classifiers, written by the gate's own workers from a candidate's folder."""

import shutil

from gate.check.evidence import ScanRequest, ScanSettings
from gate.check.files import MODEL_FOLDER, Pulled
from gate.check.scan import write_candidate
from gate.policies.packaged import DEFAULT
from gate.policies.read import read_policy
from gate.records.artifact import ModelRef, build_manifest
from gate.records.clock import today


def bundle_of(root, base, policy=None):
    """Return the bundle of a candidate's folder, or None, and why there is none; `base` is an empty folder."""
    shutil.copytree(root, base / MODEL_FOLDER)
    manifest, problems = build_manifest(base / MODEL_FOLDER)
    assert not problems
    pulled = Pulled(
        gate_version="0",
        uri=str(root),
        model=ModelRef(registry="directory", name="moderation"),
        digest=manifest.digest,
        files=manifest.files,
    )
    settings = ScanSettings(device="cpu", threads=1)
    return write_candidate(
        ScanRequest(pulled, base, policy or read_policy(DEFAULT, on=today()), settings), lambda *_: None
    )
