"""The story: resolve, pull, scan, judge, report, mark. Each step reads and writes files and returns a frozen value.

The orchestrator's half: it holds credentials in pull and publish only, imports neither torch nor numpy, and hands
hostile bytes to workers. `gate.check` puts the steps together for `gate check`.
"""

import datetime as dt
import os
import shutil
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from gate import detectors
from gate.artifact import ModelRef, build_manifest, file_sha256, make_read_only
from gate.bank import OpenBank
from gate.bundle import FOLDER as BUNDLE_FOLDER
from gate.bundle import Bundle, write_bundle
from gate.calibration.calibrate import compare
from gate.check_files import (
    EVIDENCE,
    MANIFEST,
    MODEL_FOLDER,
    SAMPLES_FOLDER,
    TRAINING_FOLDER,
    CheckFiles,
    Pulled,
    PulledSamples,
    private_directory,
    remove,
)
from gate.detector import Need
from gate.errors import UsageError
from gate.evidence import BankEvidence, Evidence, Outcome, SamplesEvidence, Skipped, isolation_rank
from gate.job import TRIGGERS_FILE, ScanJob, ScanResult
from gate.launch import Progress, WorkerReport, expected_detectors, run_job
from gate.policy import Policy
from gate.registry import Registry
from gate.settings import option_digests
from gate.verdict import forbids_loading
from gate.version import VERSION

SAMPLES_TAG = "gate.samples"


@dataclass(frozen=True)
class ScanSettings:
    """What an operator may set for one scan, beyond the policy."""

    seed: int | None = None
    device: Literal["auto", "cpu", "cuda"] | None = None
    deadline_seconds: float | None = None
    allow_code: bool = False
    memory_gib: float = 12.0
    """Address space of a worker without a GPU."""
    threads: int = 0
    isolation: Literal["full", "partial", "none"] | None = None
    """The least isolation in which the scan may run at all; the policy's where None."""


@dataclass(frozen=True)
class PullRequest:
    """What `pull` is asked for."""

    uri: str
    policy: Policy
    samples: str | None = None
    """Overrides what the policy pins."""


def pull(registry: Registry, request: PullRequest, files: CheckFiles, base: Path, ref: ModelRef) -> Pulled:
    """Copy version and samples below `base`, hash them, make them read-only, write `manifest.json`."""
    started = time.monotonic()
    facts = registry.facts(ref)
    model = base / MODEL_FOLDER
    remove(model)
    model.mkdir(parents=True)
    registry.pull(ref, model)
    manifest, problems = build_manifest(model)
    samples = _pull_samples(registry, request, ref.name, dict(facts.model_tags), base / SAMPLES_FOLDER)
    make_read_only(model)
    pulled = Pulled(
        gate_version=VERSION,
        uri=request.uri,
        model=ref,
        description=facts.description[:2000],
        digest=manifest.digest,
        files=manifest.files,
        samples=samples,
        training=_pull_training(registry, request.policy, ref, base / TRAINING_FOLDER),
        problems=problems,
        seconds=time.monotonic() - started,
    )
    files.write(MANIFEST, pulled.pretty_json())
    return pulled


def _pull_samples(
    registry: Registry, request: PullRequest, model_name: str, model_tags: dict[str, str], to: Path
) -> PulledSamples | None:
    """Fetch the samples that --samples, the policy or, where the policy says so, the model's tag names."""
    pinned = request.policy.samples.of(model_name).uri
    tagged = model_tags.get(SAMPLES_TAG) if request.policy.samples_from_tag else None
    uri = request.samples or pinned or tagged
    if uri is None:
        return None
    remove(to)
    to.mkdir(parents=True)
    path = registry.fetch(uri, to).resolve()
    if not path.exists():
        raise UsageError(f"there are no samples at {uri}")
    if not path.is_relative_to(to.resolve()):
        # A path on disk: copied too, so that what is hashed is what is scanned and the scan step finds it beside it.
        path = _copied(path, to / path.name)
    return PulledSamples(
        name=path.relative_to(to.resolve()).parts[0],
        source=uri[:2000],
        sha256=_content_sha256(path),
        overridden=request.samples is not None and pinned is not None and request.samples != pinned,
    )


def _pull_training(registry: Registry, policy: Policy, ref: ModelRef, to: Path) -> PulledSamples | None:
    """Fetch the logged training set where a detector of the policy needs one."""
    if not any(Need.TRAINING_SET in detectors.load(name).needs for name in policy.detectors):
        return None
    remove(to)
    to.mkdir(parents=True)
    found = registry.training_set(ref, to)
    if found is None:
        return None
    uri, path = found
    name = path.resolve().relative_to(to.resolve()).parts[0]
    return PulledSamples(name=name, source=uri[:2000], sha256=_content_sha256(to / name), overridden=False)


def _copied(path: Path, to: Path) -> Path:
    copied = shutil.copytree(path, to) if path.is_dir() else shutil.copyfile(path, to)
    return Path(copied).resolve()


def _content_sha256(path: Path) -> str:
    """Return the sha256 of a file, or of a folder's manifest."""
    if path.is_dir():
        return build_manifest(path)[0].digest.removeprefix("sha256:")
    return file_sha256(path)


@dataclass(frozen=True)
class ScanRequest:
    """What is scanned, where its copy lies, by which policy and settings."""

    pulled: Pulled
    base: Path
    policy: Policy
    settings: ScanSettings
    bank: OpenBank | None = None

    @property
    def seed(self) -> int:
        """The seed of the scan."""
        return self.policy.seed if self.settings.seed is None else self.settings.seed


@dataclass(frozen=True)
class Scanned:
    """What a scan yields: the evidence, the triggers' file and, under level B, the bundle's."""

    evidence: Evidence
    triggers: bytes | None = None
    bundle: Bundle | None = None


def scan(request: ScanRequest, progress: Progress) -> Scanned:
    """Inspect the bytes; if they allow it, load and measure; with `--allow-code`, convert what carries code first."""
    deadline = time.monotonic() + (request.settings.deadline_seconds or request.policy.deadline)
    inspected = _run(request, progress, Worker("inspector", deadline))
    if request.pulled.problems:
        return _not_loaded(request, inspected, "the artifact holds what is no plain file")
    if not forbids_loading(_evidence(request, inspected.result), request.policy):
        measured = _run(request, progress, Worker("scan", deadline, inspected.outcomes))
        return Scanned(_evidence(request, _joined(inspected, measured)), measured.triggers)
    if not request.settings.allow_code:
        reason = "it carries code, or its bytes are not what they should be, as the findings say"
        return _not_loaded(request, inspected, reason)
    converted = _run(request, progress, Worker("converter", deadline, inspected.outcomes))
    if not converted.result.converted or converted.bundle is None:
        # The converter ran the candidate's code: whatever it claims, its word is of level C.
        result = _joined(inspected, converted)
        result = result.model_copy(update={"assurance": None if result.assurance is None else "C"})
        return Scanned(_evidence(request, result), converted.triggers)
    return _scan_bundle(request, inspected, converted.bundle, progress, deadline)


def _scan_bundle(request: ScanRequest, original: "_Seen", raw: bytes, progress: Progress, deadline: float) -> Scanned:
    """Inspect and measure the converted bundle, as hostile bytes like any other; the verdict covers it alone."""
    folder = private_directory()
    try:
        bundle = write_bundle(raw, folder / MODEL_FOLDER, request.pulled)
        if request.pulled.samples is not None:
            (folder / SAMPLES_FOLDER).symlink_to(request.base / SAMPLES_FOLDER)
        if request.pulled.training is not None:
            (folder / TRAINING_FOLDER).symlink_to(request.base / TRAINING_FOLDER)
        pulled = request.pulled.model_copy(update={"files": bundle.manifest.files, "digest": bundle.manifest.digest})
        own = replace(request, pulled=pulled, base=folder)
        inspected = _run(own, progress, Worker("inspector", deadline))
        if forbids_loading(_evidence(own, inspected.result), request.policy):
            refused = _not_loaded(own, inspected, "what was found in the converted bundle forbids loading it")
            evidence = refused.evidence
            triggers = None
        else:
            measured = _run(own, progress, Worker("scan", deadline, inspected.outcomes))
            evidence, triggers = _evidence(own, _joined(inspected, measured)), measured.triggers
    finally:
        remove(folder)
    covered = {
        "manifest_digest": request.pulled.digest,
        "bundle_digest": bundle.manifest.digest,
        "assurance": "B" if evidence.assurance == "A" else evidence.assurance,
        "original": original.outcomes,
    }
    return Scanned(Evidence.model_validate({**evidence.model_dump(), **covered}), triggers, bundle)


def write_scanned(scanned: Scanned, files: CheckFiles) -> None:
    """Write evidence, triggers and bundle; what an earlier scan left of the latter two is removed."""
    for leftover in (files.root / TRIGGERS_FILE, files.root / BUNDLE_FOLDER):
        leftover.unlink(missing_ok=True) if leftover.is_file() else remove(leftover)
    files.write(EVIDENCE, scanned.evidence.pretty_json())
    if scanned.triggers is not None:
        files.write(TRIGGERS_FILE, scanned.triggers)
    for name, raw in (scanned.bundle.files if scanned.bundle else {}).items():
        files.write(f"{BUNDLE_FOLDER}/{name}", raw)


def _not_loaded(request: ScanRequest, inspected: "_Seen", reason: str) -> Scanned:
    return Scanned(_evidence(request, _refused(inspected, request.policy, reason)))


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


def _run(request: ScanRequest, progress: Progress, worker: Worker) -> _Seen:
    pulled, policy, settings = request.pulled, request.policy, request.settings
    isolation = settings.isolation or policy.isolation
    samples, training = pulled.samples, pulled.training
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
        samples_path=str(request.base / SAMPLES_FOLDER / samples.name)
        if samples and worker.role != "inspector"
        else None,
        training_path=str(request.base / TRAINING_FOLDER / training.name)
        if training and worker.role != "inspector"
        else None,
        samples_source=samples.source if samples else "",
        samples_sha256=samples.sha256 if samples else None,
        samples_overridden=samples.overridden if samples else False,
        bank=request.bank.bank if request.bank and worker.role == "scan" else None,
        bank_folder=str(request.bank.folder) if request.bank and worker.role == "scan" else "",
        done=worker.done,
    )
    report: WorkerReport = run_job(job, progress)
    return _Seen(report.result, report.triggers, report.bundle)


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
            "seconds": {**inspected.result.seconds, **measured.result.seconds},
        }
    )


def _evidence(request: ScanRequest, result: ScanResult) -> Evidence:
    """Join what the worker saw with what the orchestrator knows itself."""
    pulled = request.pulled
    changed = () if _unchanged(request) else ("The private copy changed during the scan: nothing can be said of it.",)
    evidence = Evidence(
        gate_version=VERSION,
        model=pulled.model,
        manifest_digest=pulled.digest,
        assurance=result.assurance,
        isolation=result.isolation,
        device=result.device,
        seed=request.seed,
        facts=result.facts,
        samples=_samples(request, result),
        bank=_bank(request, result),
        stages=result.stages,
        outcomes=result.outcomes,
        suspects=result.suspects,
        problems=tuple(text[:2000] for text in (*pulled.problems, *result.problems, *changed)),
        pictures=result.pictures,
        projections=result.projections,
        versions=result.versions,
        seconds={"pull": pulled.seconds, **result.seconds},
    )
    return _compared(request, evidence)


def _compared(request: ScanRequest, evidence: Evidence) -> Evidence:
    """Return the evidence with the candidate's place among the bank's models, where the two can be compared."""
    if request.bank is None or evidence.bank is None:
        return evidence
    comparison = compare(evidence, request.bank.bank, option_digests(request.policy))
    return evidence.model_copy(update={"bank": evidence.bank.model_copy(update={"comparison": comparison})})


def _samples(request: ScanRequest, result: ScanResult) -> SamplesEvidence | None:
    """Return what the worker saw of the samples; where they are from and which they are, the orchestrator knows."""
    given, seen = request.pulled.samples, result.samples
    if given is None or seen is None:
        return None
    known = {"source": given.source, "sha256": given.sha256, "overridden": given.overridden}
    return seen.model_copy(update=known)


def _bank(request: ScanRequest, result: ScanResult) -> BankEvidence | None:
    """Return which bank stood beside the scan; of its models, the worker says which it could use."""
    given = request.bank
    if given is None:
        return None
    return BankEvidence(
        digest=f"sha256:{given.sha256}",
        count=max(len(given.bank.references), len(given.bank.statistics)),
        same_task=any(reference.used for reference in result.references),
        name=given.bank.name,
        source=given.source[:2000],
        by_option=given.by_option,
        references=result.references,
    )


def _unchanged(request: ScanRequest) -> bool:
    return build_manifest(request.base / MODEL_FOLDER)[0].digest == request.pulled.digest


def today() -> dt.date:
    """Return the day on which waivers are looked at, in UTC."""
    return dt.datetime.now(dt.UTC).date()


def now() -> str:
    """Return the time in UTC to the second; `SOURCE_DATE_EPOCH` fixes it for reports that must repeat."""
    fixed = os.environ.get("SOURCE_DATE_EPOCH")
    moment = dt.datetime.fromtimestamp(int(fixed), dt.UTC) if fixed else dt.datetime.now(dt.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
