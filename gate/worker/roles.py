"""The work of each role in the jail: look at samples, inspect, convert, write, measure, repair, or train a copy."""

import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from gate import detectors
from gate.detectors.contract import Detector
from gate.formats.sealing import ChangedError, Seal
from gate.records.artifact import Artifact
from gate.records.evidence import Outcome, Skipped
from gate.records.facts import ModelFacts
from gate.records.job import CLASSES_STEP, LOOK_FILE, ScanJob, ScanResult
from gate.records.run import Run
from gate.spaces.subject import Subject
from gate.worker.inspecting import Inspected, inspected_by
from gate.worker.loop import Scanned, Scope, scan
from gate.worker.output import save_result, say_expected, say_progress
from gate.worker.planning import Planner

if TYPE_CHECKING:
    from gate.worker.loading.loaded import Loaded


def run(job: ScanJob, scratch: Path, *, isolation: str) -> None:
    """Do the job and leave its result in the scratch directory."""
    deadline = time.monotonic() + job.deadline_seconds
    match job.role:
        case "sampler":
            _look(job, scratch)
        case "inspector":
            _inspect(job, scratch, isolation, deadline)
        case "converter":
            _convert(job, scratch, isolation, deadline)
        case "writer":
            _write(job, scratch, isolation)
        case "scan":
            _scan(job, scratch, isolation, deadline)
        case "repairer":
            _repair(job, scratch, deadline)
        case "trainer":
            _train(job, scratch, deadline)
        case _:
            assert_never(job.role)


def reads_files_only(detector: Detector[Any]) -> bool:
    """Tell whether a detector belongs to the inspector."""
    return detector.on_files


def _artifact(job: ScanJob) -> Artifact:
    return Artifact(job.model, Path(job.root), job.manifest)


def _look(job: ScanJob, scratch: Path) -> None:
    from gate.worker.clean_samples import look

    save_result(scratch, look(job), LOOK_FILE)


def _inspect(job: ScanJob, scratch: Path, isolation: str, deadline: float) -> None:
    started = time.monotonic()
    scope = Scope(runs=reads_files_only, absence="", classes=None, progress=say_progress)
    scanned, inspected = Scanned(), Inspected(Subject(_artifact(job)), ModelFacts())
    try:
        seal = Seal.of(_artifact(job))
        inspected = inspected_by(job, _artifact(job))
        scope = replace(scope, adapter_absence=inspected.absence, language_absence=inspected.absence)
        scanned = scan(inspected.subject, job.policy, Run(seed=job.seed, deadline=deadline), scope, scanned)
        seal.check()
    except ChangedError as error:
        # The evidence is not of one and the same artifact; silence forbids loading it, and flags.
        scanned.problems.append(error.sentence[:2000])
        scanned.outcomes = _unseen(job, error)
    result = ScanResult(
        isolation=isolation,
        facts=inspected.facts,
        outcomes=scanned.outcomes,
        problems=(*inspected.problems, *scanned.problems),
        seconds={"inspect": time.monotonic() - started},
        complete=True,
    )
    save_result(scratch, result)


def _unseen(job: ScanJob, error: ChangedError) -> dict[str, Outcome]:
    """Return an outcome without a measurement for each detector on bytes."""
    ids = (name for name in job.policy.detectors if reads_files_only(detectors.load(name)))
    return {name: Skipped(reason=str(error)[:2000], options=dict(job.policy.options_of(name))) for name in ids}


def _convert(job: ScanJob, scratch: Path, isolation: str, deadline: float) -> None:
    from gate.worker import compute
    from gate.worker.conversion import convert
    from gate.worker.loading.loaded import Loaded

    started = time.monotonic()
    device = compute.prepare(job)
    imported = time.monotonic()
    seconds = {"import": imported - started}
    # The orchestrator sees later changes: after the candidate's code has run, no claim of this process counts.
    outcome: Seal | Loaded | ScanResult = _sealed(job)
    if isinstance(outcome, Seal):
        outcome = convert(job, _artifact(job), scratch)
        seconds["convert"] = time.monotonic() - imported
    if isinstance(outcome, Loaded):
        _measure(job, scratch, outcome, _Place(device, isolation, deadline, seconds))
    else:
        save_result(scratch, outcome.model_copy(update={"isolation": isolation, "versions": compute.versions()}))


def _write(job: ScanJob, scratch: Path, isolation: str) -> None:
    from gate.worker.adapter_writing import write_adapter

    adapter = write_adapter(job, _artifact(job), scratch) if job.left_path is None else None
    if adapter is not None:  # needs no torch
        save_result(scratch, adapter.model_copy(update={"isolation": isolation}))
        return
    from gate.worker import compute
    from gate.worker.writing import write

    compute.prepare(job)
    result = write(job, _artifact(job), scratch)
    save_result(scratch, result.model_copy(update={"isolation": isolation, "versions": compute.versions()}))


def _scan(job: ScanJob, scratch: Path, isolation: str, deadline: float) -> None:
    started = time.monotonic()
    from gate.worker import compute
    from gate.worker.loading.language.load import load_beside_base
    from gate.worker.loading.subject import load_subject

    device = compute.prepare(job)
    imported = time.monotonic()
    say_progress("loading the model", 0, 1)
    loaded, seal = _sealed(job), None
    if isinstance(loaded, Seal):
        seal, artifact = loaded, _artifact(job)
        beside = load_beside_base(artifact, job, device)
        loaded = beside or load_subject(artifact, job, job.policy.samples.of(job.model.name), device)
    say_progress("loading the model", 1, 1)
    seconds = {"import": imported - started, "load": time.monotonic() - imported}
    _measure(job, scratch, loaded, _Place(device, isolation, deadline, seconds, seal))


def _sealed(job: ScanJob) -> "Seal | Loaded":
    """Hash the model and return its seal, or an unread subject where the model is not what was pulled."""
    from gate.worker.loading.loaded import unread

    try:
        return Seal.of(_artifact(job))
    except ChangedError as error:
        return unread(_artifact(job), error)


def _repair(job: ScanJob, scratch: Path, deadline: float) -> None:
    from gate.worker import compute
    from gate.worker.repair.repairer import repair

    repair(job, _artifact(job), scratch, compute.prepare(job), deadline)


def _train(job: ScanJob, scratch: Path, deadline: float) -> None:
    from gate.worker import compute
    from gate.worker.copies.trainer import train

    train(job, _artifact(job), scratch, compute.prepare(job), deadline)


@dataclass(frozen=True)
class _Place:
    """A scan's device and limits, and the time spent so far."""

    device: str
    isolation: str
    deadline: float
    seconds: dict[str, float]
    seal: Seal | None = None
    """The model's digests, compared once more at the end."""


def _measure(job: ScanJob, scratch: Path, loaded: "Loaded", place: _Place) -> None:
    """Run the detectors on what was loaded, saving after each, and leave the triggers beside the result."""
    from gate.worker import compute
    from gate.worker.loading.fingerprint import fingerprint_of

    started = time.monotonic()
    if loaded.facts.classes:
        say_progress(CLASSES_STEP, loaded.facts.classes, loaded.facts.classes)
    classifier = loaded.subject.classifier
    run_ = replace(compute.run_of(job, place.device, classifier, loaded.subject.samples), deadline=place.deadline)
    result, planner = _result(loaded, place), _planner(job, loaded.subject, run_)

    def save(scanned: Scanned, *, complete: bool = False) -> None:
        seconds = {**place.seconds, "scan": time.monotonic() - started}
        # Texts of a length that was new to a detector may have run alone since the model was loaded.
        alone = result.facts.samples_alone or bool(getattr(classifier, "only_alone", False))
        known = {
            "facts": result.facts.model_copy(update={"samples_alone": alone}),
            "seconds": seconds,
            "plan": planner.plan if planner else None,
            "complete": complete,
        }
        save_result(scratch, _filled(result, scanned).model_copy(update=known))

    scope = Scope(
        runs=lambda _detector: True,
        absence=" ".join(loaded.problems) or "it was not loaded",
        classes=loaded.facts.classes,
        training_absence=loaded.training_absence,
        previous_absence=loaded.previous_absence,
        beside_absence=loaded.beside_absence,
        fingerprint=lambda: fingerprint_of(loaded.subject),
        progress=say_progress,
        save=save,
        planner=planner,
    )
    scanned = scan(loaded.subject, job.policy, run_, scope, Scanned(outcomes=dict(job.done)))
    compute.save_triggers(scratch, scanned)
    try:
        if place.seal is not None:
            place.seal.check()
    except ChangedError as error:
        scanned.problems.append(error.sentence[:2000])
    save(scanned, complete=True)


def _planner(job: ScanJob, subject: Subject, run: Run) -> Planner | None:
    """Time the model and return the scan's plan; None where it cannot be run, which its detectors will say."""
    from gate.spaces.text.contract import text_classifier
    from gate.worker import speed

    if subject.beside is not None:
        timing = partial(speed.speed_of_language, subject.beside)
    elif subject.classifier is None or subject.samples is None:
        return None
    elif subject.space == "tokens":
        timing = partial(speed.speed_of_tokens, text_classifier(subject), subject.samples.inputs, run.max_batch)
    else:
        timing = partial(speed.speed_of, subject.classifier, subject.samples.inputs, run.max_batch)
    try:
        left = run.deadline - time.monotonic()
        return Planner(timing, left, allowed=job.allowed_seconds, tell=say_expected)
    except Exception:  # noqa: BLE001  # whatever a model does when it is asked, the detectors meet it too
        return None


def _result(loaded: "Loaded", place: _Place) -> ScanResult:
    """Return the result before any detector has run."""
    from gate.worker import compute

    return ScanResult(
        isolation=place.isolation,
        device=compute.describe(place.device),
        assurance=loaded.assurance,
        facts=loaded.facts,
        samples=loaded.samples,
        references=loaded.references,
        previous=loaded.previous,
        problems=loaded.problems,
        versions=compute.versions(),
    )


def _filled(result: ScanResult, scanned: Scanned) -> ScanResult:
    """Return the result with the evidence so far."""
    evidence = {
        "outcomes": dict(scanned.outcomes),
        "suspects": tuple(scanned.suspects),
        "stages": tuple(scanned.stages),
        "pictures": tuple(scanned.pictures),
        "excerpts": tuple(scanned.excerpts),
        "projections": tuple(scanned.projections),
        "problems": (*result.problems, *scanned.problems),
    }
    return result.model_copy(update=evidence)
