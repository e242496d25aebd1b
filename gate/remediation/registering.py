"""A repair that holds becomes a bundle, and the bundle a new version of the registered model, without a decision.

Tags link the version to its parent and describe the repair; they are for display only. The same repair, asked for
again, finds the version that it made the first time.
"""

import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gate.check.bundle.compose import Bundle
from gate.check.evidence import ScanRequest
from gate.check.files import EVIDENCE, Pulled
from gate.check.scan import write_repaired
from gate.check.workers import Progress
from gate.jail.scratch import write_new
from gate.records.artifact import ModelRef, file_sha256
from gate.records.provenance import RepairOrigin
from gate.records.remediation import Attempt, RemediationReport
from gate.records.repair import REPAIRED_FILE, RepairBounds
from gate.registries.contract import ProductionRegistry
from gate.remediation.parents import Parent, ParentRequest
from gate.remediation.plan import Planned
from gate.renderers.remediation import REMEDIATION_RENDERERS

KEY_TAG = "gate.remediation_key"


def repair_key(request: ParentRequest, pulled: Pulled, plan: Sequence[Planned], bounds: RepairBounds) -> str:
    """Return the key of a repair: a digest of parent, samples, policy, evidence, methods and bounds."""
    inputs = {
        "parent": str(pulled.model),
        "digest": pulled.digest,
        "samples": pulled.samples.sha256 if pulled.samples else "",
        "policy": request.rules.policy.digest,
        "seed": request.settings.seed,
        "evidence": file_sha256(request.earlier / EVIDENCE) if request.earlier else "",
        "plan": [[one.method, one.options] for one in plan],
        "bounds": bounds.model_dump(mode="json"),
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def bundle_of(
    parent: Parent, attempts: Sequence[Attempt], model: bytes, seeds: tuple[int, ...], progress: Progress
) -> tuple[Bundle | None, str]:
    """Return the bundle of the last attempt's program, written anew and inspected; or why there is none."""
    held = attempts[-1].result
    origin = RepairOrigin(
        parent=str(parent.ref),
        parent_digest=parent.pulled.digest,
        method=held.method,
        options=held.options,
        attempts=len(seeds),
        seeds=seeds,
        detectors=tuple(sorted({name for attempt in attempts for name in attempt.result.used_detectors})),
    )
    program = parent.base / REPAIRED_FILE
    write_new(program, model)
    request = parent.request
    asked = ScanRequest(parent.pulled, parent.base, request.rules.policy, replace(request.settings, allow_code=False))
    return write_repaired(asked, program, origin, progress)


def register(production: ProductionRegistry, report: RemediationReport, bundle: Bundle, key: str) -> ModelRef:
    """Log the reports, store the bundle as a model of the gate's own, and make it a version of the parent's model."""
    with tempfile.TemporaryDirectory(prefix="gate-repaired-") as folder:
        reports = Path(folder) / "reports"
        for name, render in REMEDIATION_RENDERERS.items():
            path = reports / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(render(report).encode())
        where = production.log_reports(report.parent, reports, f"repair-{key[:57]}")
        source = production.log_model(bundle.root, f"repair-{bundle.manifest.digest[7:]}", "repaired")
    return production.create_version(report.parent.name, source, _tags(report, where, key))


def _tags(report: RemediationReport, where: str, key: str) -> dict[str, str]:
    held = report.held
    assert held is not None
    done = {
        "method": held.result.method,
        "attempts": len(report.planned),
        "report_digest": report.digest,
        "report": where[:1000],
    }
    return {
        "gate.parent": str(report.parent)[:5000],
        "gate.parent_digest": report.parent_digest,
        "gate.remediation": json.dumps(done),
        KEY_TAG: key,
    }
