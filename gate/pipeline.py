"""The scan step: hand a pulled copy to workers, one after the other, as far as what they see allows.

The orchestrator's half, without credentials: it imports neither torch nor numpy, and hostile bytes go to workers. The
steps before and after are `gate.pulling` and `gate.conclude`; `gate.check` puts them together for `gate check`.
"""

import time
from dataclasses import dataclass, field, replace
from typing import Literal

from gate.bundle import FOLDER as BUNDLE_FOLDER
from gate.bundle import Bundle, write_bundle
from gate.check_files import (
    EVIDENCE,
    MODEL_FOLDER,
    SAMPLES_FOLDER,
    TRAINING_FOLDER,
    CheckFiles,
    private_directory,
    remove,
)
from gate.evidence import Evidence, Outcome, Skipped, isolation_rank, least_dropped
from gate.job import TRIGGERS_FILE, ScanJob, ScanResult
from gate.launch import Progress, WorkerReport, expected_detectors, run_job
from gate.policy import Policy
from gate.scan_evidence import ScanRequest, evidence_of
from gate.unfinished import Unfinished, joined
from gate.verdict import forbids_loading


@dataclass(frozen=True)
class Scanned:
    """What a scan yields: the evidence, the triggers' file and, under level B, the bundle's."""

    evidence: Evidence
    triggers: bytes | None = None
    bundle: Bundle | None = None


def scan(request: ScanRequest, progress: Progress) -> Scanned:
    """Inspect the bytes; if they allow it, load and measure; with `--allow-code`, convert what carries code first."""
    deadline = time.monotonic() + (request.settings.deadline_seconds or request.policy.deadline)
    inspected = _inspect(request, progress, deadline)
    if request.pulled.problems:
        return _not_loaded(request, inspected, "the artifact holds what is no plain file")
    if not forbids_loading(evidence_of(request, inspected.result), request.policy):
        measured = _run(request, progress, Worker("scan", deadline, inspected.outcomes))
        return Scanned(evidence_of(request, _joined(inspected, measured)), measured.triggers)
    if not request.settings.allow_code:
        reason = "it carries code, or its files are not what MLflow writes, as the findings say"
        return _not_loaded(request, inspected, reason)
    converted = _run(request, progress, Worker("converter", deadline, inspected.outcomes))
    if not converted.result.converted or converted.bundle is None:
        # The converter ran the candidate's code: whatever it claims, its word is of level C.
        result = _joined(inspected, converted)
        result = result.model_copy(update={"assurance": None if result.assurance is None else "C"})
        return Scanned(evidence_of(request, result), converted.triggers)
    scanned = _scan_bundle(request, inspected, converted.bundle, progress, deadline)
    user = least_dropped(inspected.result.user, converted.result.user, scanned.evidence.worker_user)
    return replace(scanned, evidence=scanned.evidence.model_copy(update={"worker_user": user}))


def _scan_bundle(request: ScanRequest, original: "_Seen", raw: bytes, progress: Progress, deadline: float) -> Scanned:
    """Inspect and measure the converted bundle, as hostile bytes like any other; the verdict covers it alone."""
    with private_directory() as folder:
        bundle = write_bundle(raw, folder / MODEL_FOLDER, request.pulled)
        pulled = request.pulled.model_copy(update={"files": bundle.manifest.files, "digest": bundle.manifest.digest})
        own = replace(request, pulled=pulled, base=folder, beside=request.base)
        inspected = _inspect(own, progress, deadline)
        if forbids_loading(evidence_of(own, inspected.result), request.policy):
            refused = _not_loaded(own, inspected, "what was found in the converted bundle forbids loading it")
            evidence = refused.evidence
            triggers = None
        else:
            measured = _run(own, progress, Worker("scan", deadline, inspected.outcomes))
            evidence, triggers = evidence_of(own, _joined(inspected, measured)), measured.triggers
    covered = {
        "manifest_digest": request.pulled.digest,
        "bundle_digest": bundle.manifest.digest,
        "assurance": "B" if evidence.assurance == "A" else evidence.assurance,
        "original": original.outcomes,
    }
    return Scanned(Evidence.model_validate({**evidence.model_dump(), **covered}), triggers, bundle)


def forbids_bytes(request: ScanRequest, progress: Progress) -> bool:
    """Inspect the bytes alone, in a worker, and tell whether what was found forbids loading them."""
    inspected = _inspect(request, progress, time.monotonic() + request.policy.deadline)
    return forbids_loading(evidence_of(request, inspected.result), request.policy)


def write_scanned(scanned: Scanned, files: CheckFiles) -> None:
    """Write evidence, triggers and bundle; what an earlier scan left of the latter two, or unfinished, is removed."""
    for leftover in (files.root / TRIGGERS_FILE, files.root / BUNDLE_FOLDER):
        leftover.unlink(missing_ok=True) if leftover.is_file() else remove(leftover)
    files.write(EVIDENCE, scanned.evidence.pretty_json())
    Unfinished(files.root).path.unlink(missing_ok=True)
    if scanned.triggers is not None:
        files.write(TRIGGERS_FILE, scanned.triggers)
    for name, raw in (scanned.bundle.files if scanned.bundle else {}).items():
        files.write(f"{BUNDLE_FOLDER}/{name}", raw)


def _not_loaded(request: ScanRequest, inspected: "_Seen", reason: str) -> Scanned:
    return Scanned(evidence_of(request, _refused(inspected, request.policy, reason)))


@dataclass(frozen=True)
class Worker:
    """Which worker to run, until when, after what."""

    role: Literal["inspector", "converter", "scan"]
    deadline: float
    done: dict[str, Outcome] = field(default_factory=dict)


@dataclass(frozen=True)
class _Seen:
    result: ScanResult
    triggers: bytes | None = None
    bundle: bytes | None = None

    @property
    def outcomes(self) -> dict[str, Outcome]:
        return dict(self.result.outcomes)


def _inspect(request: ScanRequest, progress: Progress, deadline: float) -> _Seen:
    """Look at the bytes, in the seconds that the policy gives to that alone."""
    own = min(deadline, time.monotonic() + request.policy.inspection_deadline)
    return _run(request, progress, Worker("inspector", own))


def _run(request: ScanRequest, progress: Progress, worker: Worker) -> _Seen:
    pulled, policy, settings = request.pulled, request.policy, request.settings
    isolation = settings.isolation or policy.isolation
    samples, training, beside = pulled.samples, pulled.training, request.beside or request.base
    if worker.role == "inspector" and not expected_detectors(policy, "inspector"):
        return _Seen(ScanResult(isolation=isolation, complete=True))
    job = ScanJob(
        role=worker.role,
        model=pulled.model,
        manifest=pulled.manifest,
        root=str(request.base / MODEL_FOLDER),
        policy=policy,
        seed=request.seed,
        device="cpu" if worker.role == "converter" else settings.device or policy.device,
        deadline_seconds=max(1.0, worker.deadline - time.monotonic()),
        memory_bytes=int(settings.memory_gib * 2**30),
        threads=settings.threads,
        least_isolation=isolation,
        samples_path=str(beside / SAMPLES_FOLDER / samples.name) if samples and worker.role != "inspector" else None,
        training_path=str(beside / TRAINING_FOLDER / training.name)
        if training and worker.role != "inspector"
        else None,
        samples_source=samples.source if samples else "",
        samples_sha256=samples.sha256 if samples else None,
        samples_overridden=samples.overridden if samples else False,
        training_sha256=training.sha256 if training else None,
        bank=request.bank.bank if request.bank and worker.role == "scan" else None,
        bank_folder=str(request.bank.folder) if request.bank and worker.role == "scan" else "",
        done=worker.done,
    )
    kept = request.unfinished if worker.role == "scan" else None
    if kept is None:
        report: WorkerReport = run_job(job, progress)
        return _Seen(report.result, report.triggers, report.bundle)
    earlier = kept.earlier(job)
    asked = job if earlier is None else job.model_copy(update={"done": {**earlier.outcomes, **job.done}})
    report = run_job(asked, progress, lambda result: kept.keep(asked, joined(earlier, result)))
    return _Seen(joined(earlier, report.result), report.triggers)


def _refused(inspected: _Seen, policy: Policy, reason: str) -> ScanResult:
    """Return the inspector's result with every other detector skipped for that reason."""
    skipped: dict[str, Outcome] = {
        name: Skipped(reason=f"not loaded: {reason}", options=dict(policy.options_of(name)))
        for name in expected_detectors(policy, "scan")
    }
    problem = f"The model was not loaded: {reason}."
    return inspected.result.model_copy(
        update={
            "outcomes": {**inspected.outcomes, **skipped},
            "problems": (*inspected.result.problems, problem),
        }
    )


def _joined(inspected: _Seen, measured: _Seen) -> ScanResult:
    """Return the scan worker's result with what the inspector saw before it."""
    return measured.result.model_copy(
        update={
            "outcomes": {**measured.outcomes, **inspected.outcomes},
            "problems": (*inspected.result.problems, *measured.result.problems),
            "isolation": min(inspected.result.isolation, measured.result.isolation, key=isolation_rank),
            "user": least_dropped(inspected.result.user, measured.result.user),
            "seconds": {**inspected.result.seconds, **measured.result.seconds},
        }
    )
