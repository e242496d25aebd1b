"""The trainer: one copy of a code-free model, trained in a jailed process; the strict reader reads what it writes.

It runs no foreign code. Every obstacle ends in a result; the copy is scanned like any other model.
"""

import math
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from gate.formats.sealing import Seal
from gate.programs.writer.write import write_program
from gate.records.artifact import Artifact
from gate.records.copies import (
    COPY_FILE,
    COPY_PROGRAM,
    TRAINING_STEP,
    TRIAL_FILE,
    CopyResult,
    CopyTask,
    Trial,
)
from gate.records.errors import GateError
from gate.records.job import ScanJob
from gate.records.run import Run
from gate.spaces.subject import Samples
from gate.worker.compute import run_of
from gate.worker.copies.data import DataError, require_not_logged, trusted
from gate.worker.copies.start import started
from gate.worker.copies.training import fit
from gate.worker.loading.program_classifier import ProgramClassifier
from gate.worker.output import save_result, say_progress
from gate.worker.repair.contract import Material
from gate.worker.repair.repairer import material_of
from gate.worker.repair.tuning import Tuned, classifier_of, hits, labels_of

_TIMED_BATCH, _TIMED = 64, 3
"""Images of a batch, and batches, by which the time of an image is measured."""


@dataclass(frozen=True)
class _Bench:
    """Candidate, clean samples and trusted data."""

    material: Material
    classifier: ProgramClassifier
    data: Samples
    left_out: int
    run: Run


def train(job: ScanJob, artifact: Artifact, scratch: Path, device: str, deadline: float) -> None:
    """Look at what there is, or train the job's copy, and leave the result and the copy's program."""
    task = job.copy_task
    assert task is not None
    if task.recipe is None:
        save_result(scratch, _trial(job, task, artifact, device, deadline), TRIAL_FILE)
        return
    started_at, processor = time.monotonic(), time.process_time()
    result = CopyResult(number=task.number, seed=job.seed, status="failed")
    try:
        result = _copied(result, task, _bench(job, task, artifact, device, deadline), scratch)
    except GateError as error:
        result = result.model_copy(update={"reason": str(error)[:2000]})
    spent = {"seconds": time.monotonic() - started_at, "processor_seconds": time.process_time() - processor}
    save_result(scratch, result.model_copy(update=spent), COPY_FILE)


def _trial(job: ScanJob, task: CopyTask, artifact: Artifact, device: str, deadline: float) -> Trial:
    try:
        bench = _bench(job, task, artifact, device, deadline)
        require_not_logged(job, bench.data, bench.classifier)
        model = started(bench.material, task, job.seed)
    except GateError as error:
        fault, advice = str(error)[:2000], error.what_to_do[:2000]
        return Trial(fault=fault, what_to_do=advice, of_data=isinstance(error, DataError))
    clean, labels = bench.material.samples, labels_of(bench.material)
    return Trial(
        accuracy=hits(bench.classifier.logits, clean.inputs, labels, bench.run) / len(clean.inputs),
        input_shape=bench.classifier.input_shape,
        images=len(bench.data.inputs),
        left_out=bench.left_out,
        device=device,
        seconds_an_image=_seconds_an_image(model, bench.data, bench.run),
    )


def _bench(job: ScanJob, task: CopyTask, artifact: Artifact, device: str, deadline: float) -> _Bench:
    say_progress("loading the model", 0, 1)
    seal = Seal.of(artifact)
    material, classifier = material_of(job, artifact, device)
    seal.check()
    if material.samples.labels is None:
        raise DataError(
            "the clean samples carry no labels; on them it is measured whether a copy is as good as the candidate"
        )
    data, left_out = trusted(job, task, classifier, material.samples)
    say_progress("loading the model", 1, 1)
    run = replace(run_of(job, device, classifier, material.samples), deadline=deadline)
    return _Bench(material, classifier, data, left_out, replace(run, progress=partial(say_progress, TRAINING_STEP)))


def _seconds_an_image(model: Tuned, data: Samples, run: Run) -> float:
    """Return the seconds of one image forward and backward, measured after one batch that is not counted."""
    assert data.labels is not None
    x, y = (one[:_TIMED_BATCH].to(run.device) for one in (data.inputs, data.labels))
    begun = 0.0
    for number in range(_TIMED + 1):
        begun = time.monotonic() if number == 1 else begun
        model.loss(x, y).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return (time.monotonic() - begun) / (_TIMED * len(x))


def _copied(result: CopyResult, task: CopyTask, bench: _Bench, scratch: Path) -> CopyResult:
    """Train one copy, write its program, and return what it came to."""
    material, run = bench.material, replace(bench.run, seed=result.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(result.seed)  # dropout draws from torch's own numbers
        model = started(material, task, result.seed)
        fitted = fit(model, bench.data, material.samples, task, material.bounds, run)
    program = model.to_program()
    if not all(bool(torch.isfinite(one).all()) for one in program.parameters.values()):
        return result.model_copy(update={"reason": "its training diverged: it left values that are not finite"})
    accuracy, agreement = _compared(classifier_of(program, material), bench)
    write_program(program.to("cpu"), scratch / COPY_PROGRAM)
    short = accuracy < task.goal
    why = f"its accuracy is {accuracy:.1%}, and {task.goal:.1%} are needed: {fitted.why or 'rounding'}"
    return result.model_copy(
        update={
            "status": "short" if short else "trained",
            "reason": why if short else "",
            "accuracy": accuracy,
            "agreement": agreement,
            "epochs": fitted.epochs,
            "loss": fitted.loss if math.isfinite(fitted.loss) else None,
            "sample_passes": model.sample_passes,
        }
    )


def _compared(copy: ProgramClassifier, bench: _Bench) -> tuple[float, float]:
    """Return the share of clean samples that a copy gets right, and on which it says what the candidate says."""
    clean, labels, run = bench.material.samples, labels_of(bench.material), bench.run
    with torch.no_grad():
        parts = torch.split(clean.inputs, run.max_batch)
        said = torch.cat([bench.classifier.logits(part).argmax(dim=1) for part in parts])
    count = len(clean.inputs)
    return hits(copy.logits, clean.inputs, labels, run) / count, hits(copy.logits, clean.inputs, said, run) / count
