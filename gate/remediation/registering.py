"""What holds becomes a bundle, and the bundle a new version of the same registered model, without a decision.

The version is linked to its parent by digest, and says in its tags what was done; all of these tags are display. A
repair that is asked for twice finds the version that it made the first time.
"""

import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gate.check.bundle.compose import Bundle
from gate.check.evidence import ScanRequest
from gate.check.files import EVIDENCE, Pulled
from gate.check.scan import write_repaired
from gate.check.workers import Progress
from gate.jail.scratch import write_new
from gate.records.artifact import ModelRef, file_sha256
from gate.records.provenance import RepairOrigin
from gate.records.remediation import RemediationReport
from gate.records.repair import REPAIRED_FILE, RepairBounds, RepairResult
from gate.registries.contract import ProductionRegistry
from gate.remediation.parents import Parent, ParentRequest
from gate.remediation.plan import Planned
from gate.renderers.remediation import REMEDIATION_RENDERERS

PARENT_TAG, PARENT_DIGEST_TAG = "gate.parent", "gate.parent_digest"
REMEDIATION_TAG, KEY_TAG = "gate.remediation", "gate.remediation_key"
TITLE = "repaired"


@dataclass(frozen=True)
class Held:
    """The attempt that holds, its program's bytes, and what all attempts were tuned on."""

    result: RepairResult
    model: bytes
    seeds: tuple[int, ...]
    detectors: tuple[str, ...]


def repair_key(request: ParentRequest, pulled: Pulled, plan: Sequence[Planned], bounds: RepairBounds) -> str:
    """Return what makes a repair the same one: parent, samples, policy, evidence asked for, methods and bounds."""
    words = {
        "parent": str(pulled.model),
        "digest": pulled.digest,
        "samples": pulled.samples.sha256 if pulled.samples else "",
        "policy": request.rules.policy.digest,
        "seed": request.settings.seed,
        "evidence": file_sha256(request.earlier / EVIDENCE) if request.earlier else "",
        "plan": [[one.method, one.options] for one in plan],
        "bounds": bounds.model_dump(mode="json"),
    }
    return hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()


def find_earlier(production: ProductionRegistry, name: str, key: str) -> ModelRef | None:
    """Return the version that the very same repair has registered before."""
    found = production.find_versions(name, {KEY_TAG: key})
    return found[0][0] if found else None


def bundle_of(parent: Parent, held: Held, progress: Progress) -> tuple[Bundle | None, str]:
    """Return the repaired bundle, written anew and inspected, below the parent's private copy; or why there is none."""
    origin = RepairOrigin(
        parent=str(parent.ref),
        parent_digest=parent.pulled.digest,
        method=held.result.method,
        options=held.result.options,
        attempts=len(held.seeds),
        seeds=held.seeds,
        detectors=held.detectors,
    )
    program = parent.base / REPAIRED_FILE
    write_new(program, held.model)
    request = parent.request
    asked = ScanRequest(parent.pulled, parent.base, request.rules.policy, replace(request.settings, allow_code=False))
    return write_repaired(asked, program, origin, progress)


def register(production: ProductionRegistry, report: RemediationReport, bundle: Bundle, key: str) -> ModelRef:
    """Log the reports, store the bundle as a model of the gate's own, and make it a version of the parent's model."""
    with tempfile.TemporaryDirectory(prefix="gate-repaired-") as folder:
        reports = Path(folder) / "reports"
        for name, render in REMEDIATION_RENDERERS.items():
            _put(reports / name, render(report).encode())
        where = production.log_reports(report.parent, reports, f"repair-{key[:57]}")
        source = production.log_model(bundle.root, f"repair-{bundle.manifest.digest[7:]}", TITLE)
    return production.create_version(report.parent.name, source, _tags(report, where, key))


def _put(path: Path, raw: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)


def _tags(report: RemediationReport, where: str, key: str) -> dict[str, str]:
    """Return what links a version to its parent; no decision is among it."""
    held = report.held
    assert held is not None
    done = {
        "method": held.result.method,
        "attempts": len(report.planned),
        "report_digest": report.digest,
        "report": where[:1000],
    }
    return {
        PARENT_TAG: str(report.parent)[:5000],
        PARENT_DIGEST_TAG: report.parent_digest,
        REMEDIATION_TAG: json.dumps(done),
        KEY_TAG: key,
    }
