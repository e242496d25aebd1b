"""What each worker does once it is in the jail: the inspector reads bytes, the scan worker loads and measures."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from gate.artifact import Artifact
from gate.detector import Detector, Need, Run
from gate.job import ScanJob, ScanResult
from gate.scan import Scanned, Scope, scan
from gate.subject import Subject
from gate.worker.output import save_result, say_progress


def run(job: ScanJob, scratch: Path, *, isolation: str) -> None:
    """Do the job and leave its result in the scratch directory."""
    deadline = time.monotonic() + job.deadline_seconds
    if job.role == "inspector":
        _inspect(job, scratch, isolation, deadline)
    else:
        _scan(job, scratch, isolation, deadline)


def reads_files_only(detector: Detector[Any]) -> bool:
    """Tell whether a detector belongs to the inspector."""
    return detector.needs == Need.FILES


def _artifact(job: ScanJob) -> Artifact:
    return Artifact(job.model, Path(job.root), job.manifest)


def _inspect(job: ScanJob, scratch: Path, isolation: str, deadline: float) -> None:
    started = time.monotonic()
    scope = Scope(runs=reads_files_only, absence="", classes=None, progress=say_progress)
    scanned = scan(Subject(_artifact(job)), job.policy, Run(seed=job.seed, deadline=deadline), scope, Scanned())
    result = ScanResult(
        isolation=isolation,
        outcomes=scanned.outcomes,
        problems=tuple(scanned.problems),
        seconds={"inspect": time.monotonic() - started},
        complete=True,
    )
    save_result(scratch, result)


def _scan(job: ScanJob, scratch: Path, isolation: str, deadline: float) -> None:
    started = time.monotonic()
    from gate.loading.fingerprint import fingerprint
    from gate.loading.subject import load_subject
    from gate.worker import compute

    device = compute.prepare(job)
    imported = time.monotonic()
    say_progress("loading the model", 0, 1)
    loaded = load_subject(_artifact(job), job, job.policy.samples.of(job.model.name), device)
    result = ScanResult(
        isolation=isolation,
        device=compute.describe(device),
        assurance=loaded.assurance,
        facts=loaded.facts,
        samples=loaded.samples,
        problems=loaded.problems,
        versions=compute.versions(),
        seconds={"import": imported - started, "load": time.monotonic() - imported},
    )
    say_progress("loading the model", 1, 1)

    def with_(scanned: Scanned, *, complete: bool = False) -> ScanResult:
        return result.model_copy(
            update={
                "outcomes": dict(scanned.outcomes),
                "suspects": tuple(scanned.suspects),
                "stages": tuple(scanned.stages),
                "pictures": tuple(scanned.pictures),
                "projections": tuple(scanned.projections),
                "problems": (*result.problems, *scanned.problems),
                "seconds": {**result.seconds, "scan": time.monotonic() - imported},
                "complete": complete,
            }
        )

    classifier = loaded.subject.classifier
    scope = Scope(
        runs=lambda _detector: True,
        absence=" ".join(loaded.problems) or "it was not loaded",
        classes=loaded.facts.classes,
        fingerprint=(lambda: fingerprint(classifier)) if classifier is not None else lambda: "",
        progress=say_progress,
        save=lambda scanned: save_result(scratch, with_(scanned)),
    )
    run_ = Run(seed=job.seed, device=device, deadline=deadline)
    done = Scanned(outcomes=dict(job.done))
    scanned = scan(replace(loaded.subject), job.policy, run_, scope, done)
    compute.save_triggers(scratch, scanned)
    save_result(scratch, with_(scanned, complete=True))
