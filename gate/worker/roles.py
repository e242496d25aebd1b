"""What each worker does once it is in the jail: inspect, convert what carries code, load and measure, or repair."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from gate.artifact import Artifact
from gate.detector import Detector, Need, Run
from gate.job import ScanJob, ScanResult
from gate.scan import Scanned, Scope, scan
from gate.subject import Subject
from gate.worker.output import save_result, say_progress

if TYPE_CHECKING:
    from gate.loading.subject import Loaded


def run(job: ScanJob, scratch: Path, *, isolation: str) -> None:
    """Do the job and leave its result in the scratch directory."""
    deadline = time.monotonic() + job.deadline_seconds
    match job.role:
        case "inspector":
            _inspect(job, scratch, isolation, deadline)
        case "converter":
            _convert(job, scratch, isolation, deadline)
        case "scan":
            _scan(job, scratch, isolation, deadline)
        case "repairer":
            _repair(job, scratch, deadline)
        case _:
            assert_never(job.role)


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


def _convert(job: ScanJob, scratch: Path, isolation: str, deadline: float) -> None:
    from gate.loading.subject import Loaded
    from gate.worker import compute
    from gate.worker.conversion import convert

    started = time.monotonic()
    device = compute.prepare(job)
    imported = time.monotonic()
    outcome = convert(job, _artifact(job), scratch)
    if not isinstance(outcome, Loaded):
        save_result(scratch, outcome.model_copy(update={"isolation": isolation}))
        return
    seconds = {"import": imported - started, "convert": time.monotonic() - imported}
    _measure(job, scratch, outcome, _Place(device, isolation, deadline, seconds))


def _scan(job: ScanJob, scratch: Path, isolation: str, deadline: float) -> None:
    started = time.monotonic()
    from gate.loading.subject import load_subject
    from gate.worker import compute

    device = compute.prepare(job)
    imported = time.monotonic()
    say_progress("loading the model", 0, 1)
    loaded = load_subject(_artifact(job), job, job.policy.samples.of(job.model.name), device)
    say_progress("loading the model", 1, 1)
    seconds = {"import": imported - started, "load": time.monotonic() - imported}
    _measure(job, scratch, loaded, _Place(device, isolation, deadline, seconds))


def _repair(job: ScanJob, scratch: Path, deadline: float) -> None:
    from gate.worker import compute
    from gate.worker.repairing import repair

    device = compute.prepare(job)
    repair(job, _artifact(job), scratch, device, deadline)


@dataclass(frozen=True)
class _Place:
    """Where and how long this worker computes, and what it spent so far."""

    device: str
    isolation: str
    deadline: float
    seconds: dict[str, float]


def _measure(job: ScanJob, scratch: Path, loaded: "Loaded", place: _Place) -> None:
    """Run the detectors on what was loaded, saving after each, and leave the triggers beside the result."""
    from gate.loading.fingerprint import fingerprint
    from gate.worker import compute

    started = time.monotonic()
    result = ScanResult(
        isolation=place.isolation,
        device=compute.describe(place.device),
        assurance=loaded.assurance,
        facts=loaded.facts,
        samples=loaded.samples,
        references=loaded.references,
        problems=loaded.problems,
        versions=compute.versions(),
    )

    def with_(scanned: Scanned, *, complete: bool = False) -> ScanResult:
        return result.model_copy(
            update={
                "outcomes": dict(scanned.outcomes),
                "suspects": tuple(scanned.suspects),
                "stages": tuple(scanned.stages),
                "pictures": tuple(scanned.pictures),
                "projections": tuple(scanned.projections),
                "problems": (*result.problems, *scanned.problems),
                "seconds": {**place.seconds, "scan": time.monotonic() - started},
                "complete": complete,
            }
        )

    classifier = loaded.subject.classifier
    scope = Scope(
        runs=lambda _detector: True,
        absence=" ".join(loaded.problems) or "it was not loaded",
        classes=loaded.facts.classes,
        training_absence=loaded.training_absence,
        fingerprint=(lambda: fingerprint(classifier)) if classifier is not None else lambda: "",
        progress=say_progress,
        save=lambda scanned: save_result(scratch, with_(scanned)),
    )
    run_ = replace(compute.run_of(job, place.device, classifier, loaded.subject.samples), deadline=place.deadline)
    scanned = scan(loaded.subject, job.policy, run_, scope, Scanned(outcomes=dict(job.done)))
    compute.save_triggers(scratch, scanned)
    save_result(scratch, with_(scanned, complete=True))
