"""The story: resolve, pull, scan, judge, report, mark. Each step reads and writes files and returns a frozen value.

The orchestrator's half: it holds credentials in pull and publish only, imports neither torch nor numpy, and hands
hostile bytes to workers. `gate.check` puts the steps together for `gate check`.
"""

import datetime as dt
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gate.artifact import ModelRef, build_manifest, file_sha256, make_read_only
from gate.check_files import MANIFEST, CheckFiles, Pulled, PulledSamples
from gate.errors import UsageError
from gate.evidence import Assurance, Evidence, Outcome, Skipped
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


def pull(registry: Registry, request: PullRequest, files: CheckFiles, model_root: Path, ref: ModelRef) -> Pulled:
    """Copy version and samples into private directories, hash them, make them read-only, write `manifest.json`."""
    started = time.monotonic()
    facts = registry.facts(ref)
    model_path = model_root / "model"
    model_path.mkdir(parents=True)
    registry.pull(ref, model_path)
    manifest, problems = build_manifest(model_path)
    samples = _pull_samples(registry, request, ref.name, dict(facts.model_tags), model_root / "samples")
    make_read_only(model_path)
    pulled = Pulled(
        gate_version=VERSION,
        uri=request.uri,
        model=ref,
        description=facts.description[:2000],
        digest=manifest.digest,
        files=manifest.files,
        model_path=str(model_path),
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
    to.mkdir(parents=True, exist_ok=True)
    path = registry.fetch(uri, to).resolve()
    if not path.exists():
        raise UsageError(f"there are no samples at {uri}")
    return PulledSamples(
        path=str(path),
        source=uri[:2000],
        sha256=_content_sha256(path),
        overridden=request.samples is not None and pinned is not None and request.samples != pinned,
    )


def _content_sha256(path: Path) -> str:
    """Return the sha256 of a file, or of a folder's manifest."""
    if path.is_dir():
        return build_manifest(path)[0].digest.removeprefix("sha256:")
    return file_sha256(path)


def scan(pulled: Pulled, policy: Policy, settings: ScanSettings, progress: Progress) -> tuple[Evidence, bytes | None]:
    """Inspect the bytes; if they allow it, load and measure; return the evidence and the triggers' file."""
    deadline = time.monotonic() + (settings.deadline_seconds or policy.deadline)
    inspected = _run(pulled, policy, settings, progress, Worker("inspector", deadline))
    reason = _refusal(pulled, inspected, policy, settings)
    if reason:
        return _evidence(pulled, policy, settings, _refused(inspected, policy, reason)), None
    measured = _run(pulled, policy, settings, progress, Worker("scan", deadline, inspected.outcomes))
    return _evidence(pulled, policy, settings, _joined(inspected, measured)), measured.triggers


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


def _run(pulled: Pulled, policy: Policy, settings: ScanSettings, progress: Progress, worker: Worker) -> _Seen:
    isolation = settings.isolation or policy.isolation
    samples = pulled.samples
    if worker.role == "inspector" and not expected_detectors(policy, "inspector"):
        return _Seen(ScanResult(isolation=isolation, complete=True), None)
    job = ScanJob(
        role=worker.role,
        model=pulled.model,
        manifest=pulled.manifest,
        root=pulled.model_path,
        policy=policy,
        seed=policy.seed if settings.seed is None else settings.seed,
        device=settings.device or policy.device,
        deadline_seconds=max(1.0, worker.deadline - time.monotonic()),
        memory_bytes=int(settings.memory_gib * 2**30),
        threads=settings.threads,
        allow_code=settings.allow_code,
        least_isolation=isolation,
        samples_path=samples.path if samples and worker.role == "scan" else None,
        samples_source=samples.source if samples else "",
        samples_sha256=samples.sha256 if samples else None,
        samples_overridden=samples.overridden if samples else False,
        done=worker.done,
    )
    report: WorkerReport = run_job(job, progress)
    return _Seen(report.result, report.triggers)


def _refusal(pulled: Pulled, inspected: _Seen, policy: Policy, settings: ScanSettings) -> str:
    """Return why the model is not loaded, or nothing."""
    if pulled.problems:
        return "the artifact holds what is no plain file"
    evidence = _evidence(pulled, policy, settings, inspected.result)
    if not settings.allow_code and forbids_loading(evidence, policy):
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


def _evidence(pulled: Pulled, policy: Policy, settings: ScanSettings, result: ScanResult) -> Evidence:
    """Join what the worker saw with what the orchestrator knows itself."""
    changed = () if _unchanged(pulled) else ("The private copy changed during the scan: nothing can be said of it.",)
    assurance: Assurance | None = result.assurance
    return Evidence(
        gate_version=VERSION,
        model=pulled.model,
        manifest_digest=pulled.digest,
        assurance="C" if settings.allow_code and assurance == "C" else assurance,
        isolation=result.isolation,
        device=result.device,
        seed=policy.seed if settings.seed is None else settings.seed,
        facts=result.facts,
        samples=result.samples,
        stages=result.stages,
        outcomes=result.outcomes,
        suspects=result.suspects,
        problems=tuple(text[:2000] for text in (*pulled.problems, *result.problems, *changed)),
        pictures=result.pictures,
        projections=result.projections,
        versions=result.versions,
        seconds={"pull": pulled.seconds, **result.seconds},
    )


def _unchanged(pulled: Pulled) -> bool:
    return build_manifest(Path(pulled.model_path))[0].digest == pulled.digest


def today() -> dt.date:
    """Return the day on which waivers are looked at, in UTC."""
    return dt.datetime.now(dt.UTC).date()


def now() -> str:
    """Return the time in UTC to the second; `SOURCE_DATE_EPOCH` fixes it for reports that must repeat."""
    fixed = os.environ.get("SOURCE_DATE_EPOCH")
    moment = dt.datetime.fromtimestamp(int(fixed), dt.UTC) if fixed else dt.datetime.now(dt.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


Notify = Callable[[str], None]
