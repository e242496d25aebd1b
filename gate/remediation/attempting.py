"""The orchestrator's side of one attempt to repair: a jailed worker, and its result read as hostile bytes.

Whatever goes wrong with a repair worker is a failed attempt in words. Of the model, the method, its options and its
seed the worker says nothing that counts: these are the orchestrator's own.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from gate import detectors
from gate.check.worker_results import MAX_BUNDLE_BYTES, manner, opaque
from gate.check.workers import Progress, run_in_scratch
from gate.jail.launch import WorkerExit
from gate.jail.scratch import scratch_directory
from gate.records.job import ScanJob
from gate.records.record import MalformedError
from gate.records.repair import REPAIR_FILE, REPAIRED_FILE, RepairMeasures, RepairResult, RepairTask

MAX_RESULT_BYTES = 8 << 20
_ROUNDING = 1e-6
_SPARE_BYTES = 64 << 20
"""What a repaired program may be larger than its parent: none of the methods adds a tensor."""


@dataclass(frozen=True)
class Attempted:
    """One attempt's checked result, and the repaired program's hostile bytes where there are any."""

    result: RepairResult
    model: bytes | None = field(default=None, repr=False)


def run_attempt(job: ScanJob, progress: Progress) -> Attempted:
    """Run one repair worker to its end; a missing, forged or partial result is a failed attempt."""
    task = job.repair
    assert task is not None
    with scratch_directory() as scratch:
        ended, _ = run_in_scratch(job, scratch, progress)
        try:
            result = RepairResult.from_file(scratch / REPAIR_FILE, limit=MAX_RESULT_BYTES)
            check_result(result, task, job.seed)
        except MalformedError as error:
            why = f"{manner(ended)} Its result was not accepted: {error}"
            return Attempted(_failed(job, task, why, ended))
        limit = min(MAX_BUNDLE_BYTES, 2 * job.manifest.size_bytes + _SPARE_BYTES)
        model = opaque(scratch / REPAIRED_FILE, limit)
    if not (result.complete and ended.ended_by_itself):
        return Attempted(_failed(job, task, manner(ended), ended))
    if result.status != "repaired":
        return Attempted(result)
    if not model:
        why = f"{manner(ended)} It left no repaired model, or one larger than {limit} bytes."
        return Attempted(_failed(job, task, why, ended))
    return Attempted(result, model)


def check_result(result: RepairResult, task: RepairTask, seed: int) -> None:
    """Refuse a result that speaks of what was not asked; of another method, seed, place or detector."""
    if result.method != task.method:
        raise MalformedError(f"it is of the method {result.method!r:.80}; {task.method} was asked for")
    if result.seed != seed:
        raise MalformedError(f"it is of the seed {result.seed}; {seed} was asked for")
    if dict(result.options) != dict(task.options):
        raise MalformedError(f"it states other options of {task.method} than were asked for")
    if unknown := sorted(set(result.used_detectors) - set(detectors.names())):
        raise MalformedError(f"it names the detector {unknown[0]!r:.80}, which there is not")
    _check_measures(result, {str(place) for place in task.suspects})


def _check_measures(result: RepairResult, asked: set[str]) -> None:
    if foreign := sorted({place for place in _places(result) if place not in asked}):
        raise MalformedError(f"it measures {foreign[0]!r:.80}, which was not asked for")
    if any(picture.location is not None and str(picture.location) not in asked for picture in result.pictures):
        raise MalformedError("it shows a picture of a place that was not asked for")
    for measures in _measures(result):
        if not measures.accuracy_low - _ROUNDING <= measures.accuracy <= measures.accuracy_high + _ROUNDING:
            raise MalformedError("its accuracy lies outside its own interval")
    if result.status == "repaired" and len(_measures(result)) != 2:
        raise MalformedError("it claims a repair and measured nothing before or after it")


def _measures(result: RepairResult) -> list[RepairMeasures]:
    return [measures for measures in (result.before, result.after) if measures is not None]


def _places(result: RepairResult) -> Iterator[str]:
    for measures in _measures(result):
        yield from (*measures.old_success, *measures.fresh_success, *measures.fresh_size_ratio)


def _failed(job: ScanJob, task: RepairTask, why: str, ended: WorkerExit) -> RepairResult:
    return RepairResult(
        method=task.method,
        options=task.options,
        status="failed",
        reason=why[:2000],
        seed=job.seed,
        seconds=max(0.0, ended.seconds),
    )
