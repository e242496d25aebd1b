"""The story: resolve, pull, scan, judge, report, mark. Each step reads and writes files and returns a frozen value.

The orchestrator's half: it holds credentials in pull and publish only, imports neither torch nor numpy, and hands
hostile bytes to workers. `gate.check` puts the steps together for `gate check`.
"""

import datetime as dt
import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gate.artifact import ModelRef, build_manifest, file_sha256, make_read_only
from gate.check_files import MANIFEST, MODEL_FOLDER, SAMPLES_FOLDER, CheckFiles, Pulled, PulledSamples, remove
from gate.errors import UsageError
from gate.evidence import Assurance, Evidence, Outcome, SamplesEvidence, Skipped
from gate.job import ScanJob, ScanResult
from gate.launch import Progress, WorkerReport, expected_detectors, run_job
from gate.policy import Policy
from gate.registry import Registry
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

    @property
    def seed(self) -> int:
        """The seed of the scan."""
        return self.policy.seed if self.settings.seed is None else self.settings.seed


def scan(request: ScanRequest, progress: Progress) -> tuple[Evidence, bytes | None]:
    """Inspect the bytes; if they allow it, load and measure; return the evidence and the triggers' file."""
    deadline = time.monotonic() + (request.settings.deadline_seconds or request.policy.deadline)
    inspected = _run(request, progress, Worker("inspector", deadline))
    reason = _refusal(request, inspected)
    if reason:
        return _evidence(request, _refused(inspected, request.policy, reason)), None
    measured = _run(request, progress, Worker("scan", deadline, inspected.outcomes))
    return _evidence(request, _joined(inspected, measured)), measured.triggers


@dataclass(frozen=True)
class Worker:
    """Which worker to run, until when, after what."""

    role: Literal["inspector", "scan"]
    deadline: float
    done: dict[str, Outcome] = field(default_factory=dict)


@dataclass(frozen=True)
class _Seen:
    result: ScanResult
    triggers: bytes | None

    @property
    def outcomes(self) -> dict[str, Outcome]:
        return dict(self.result.outcomes)


def _run(request: ScanRequest, progress: Progress, worker: Worker) -> _Seen:
    pulled, policy, settings = request.pulled, request.policy, request.settings
    isolation = settings.isolation or policy.isolation
    samples = pulled.samples
    if worker.role == "inspector" and not expected_detectors(policy, "inspector"):
        return _Seen(ScanResult(isolation=isolation, complete=True), None)
    job = ScanJob(
        role=worker.role,
        model=pulled.model,
        manifest=pulled.manifest,
        root=str(request.base / MODEL_FOLDER),
        policy=policy,
        seed=request.seed,
        device=settings.device or policy.device,
        deadline_seconds=max(1.0, worker.deadline - time.monotonic()),
        memory_bytes=int(settings.memory_gib * 2**30),
        threads=settings.threads,
        allow_code=settings.allow_code,
        least_isolation=isolation,
        samples_path=str(request.base / SAMPLES_FOLDER / samples.name) if samples and worker.role == "scan" else None,
        samples_source=samples.source if samples else "",
        samples_sha256=samples.sha256 if samples else None,
        samples_overridden=samples.overridden if samples else False,
        done=worker.done,
    )
    report: WorkerReport = run_job(job, progress)
    return _Seen(report.result, report.triggers)


def _refusal(request: ScanRequest, inspected: _Seen) -> str:
    """Return why the model is not loaded, or nothing."""
    if request.pulled.problems:
        return "the artifact holds what is no plain file"
    evidence = _evidence(request, inspected.result)
    if not request.settings.allow_code and forbids_loading(evidence, request.policy):
        return "what was found in its bytes forbids loading it"
    return ""


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
            "isolation": _weaker(inspected.result.isolation, measured.result.isolation),
            "seconds": {**inspected.result.seconds, **measured.result.seconds},
        }
    )


def _weaker(one: str, other: str) -> str:
    """Return the weaker of two isolations; unknown words count as none."""
    order = ("full", "partial", "none")
    return max(one, other, key=lambda text: order.index(word) if (word := text.split(" ")[0]) in order else 3)


def _evidence(request: ScanRequest, result: ScanResult) -> Evidence:
    """Join what the worker saw with what the orchestrator knows itself."""
    pulled = request.pulled
    changed = () if _unchanged(request) else ("The private copy changed during the scan: nothing can be said of it.",)
    return Evidence(
        gate_version=VERSION,
        model=pulled.model,
        manifest_digest=pulled.digest,
        assurance=_assurance(request, result),
        isolation=result.isolation,
        device=result.device,
        seed=request.seed,
        facts=result.facts,
        samples=_samples(request, result),
        stages=result.stages,
        outcomes=result.outcomes,
        suspects=result.suspects,
        problems=tuple(text[:2000] for text in (*pulled.problems, *result.problems, *changed)),
        pictures=result.pictures,
        projections=result.projections,
        versions=result.versions,
        seconds={"pull": pulled.seconds, **result.seconds},
    )


def _assurance(request: ScanRequest, result: ScanResult) -> Assurance | None:
    """Return the level; a worker in which the candidate's code was allowed to run is not asked for a better one."""
    return "C" if request.settings.allow_code and result.assurance is not None else result.assurance


def _samples(request: ScanRequest, result: ScanResult) -> SamplesEvidence | None:
    """Return what the worker saw of the samples; where they are from and which they are, the orchestrator knows."""
    given, seen = request.pulled.samples, result.samples
    if given is None or seen is None:
        return None
    known = {"source": given.source, "sha256": given.sha256, "overridden": given.overridden}
    return seen.model_copy(update=known)


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
