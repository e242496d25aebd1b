"""One attempt to repair: a jailed worker, and its result read as hostile bytes.

Any error of a repair worker is a failed attempt with a reason. Model, method, options and seed are the orchestrator's
own, and never taken from the worker.

Finished attempts are kept in the remediation's directory and reused after an interruption. A result depends only on
bytes, samples, triggers, options and seed; an attempt that differs in any of them is not reused, and neither is a
failure, which may have been the machine's.
"""

import hashlib
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gate import VERSION, detectors
from gate.check.files import CheckFiles
from gate.check.worker_results import MAX_BUNDLE_BYTES, manner, opaque
from gate.check.workers import Progress, run_in_scratch
from gate.jail.launch import WorkerExit
from gate.jail.scratch import scratch_directory
from gate.records.job import ScanJob
from gate.records.record import MalformedError, Record, read_bounded
from gate.records.repair import REPAIR_FILE, REPAIRED_FILE, RepairResult, RepairTask

MAX_RESULT_BYTES = 8 << 20
ATTEMPTS = "attempts"
"""Folder of finished attempts below the remediation's directory."""
_ROUNDING = 1e-6
_SPARE_BYTES = 64 << 20
"""Bytes by which a repaired program may exceed twice its parent: no method adds a tensor."""


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
            return _failed(job, task, why, ended)
        limit = min(MAX_BUNDLE_BYTES, 2 * job.manifest.size_bytes + _SPARE_BYTES)
        model = opaque(scratch / REPAIRED_FILE, limit)
    if not (result.complete and ended.ended_by_itself):
        return _failed(job, task, manner(ended), ended)
    if result.status != "repaired":
        return Attempted(result)
    if not model:
        why = f"{manner(ended)} It left no repaired model, or one larger than {limit} bytes."
        return _failed(job, task, why, ended)
    return Attempted(result, model)


def check_result(result: RepairResult, task: RepairTask, seed: int) -> None:
    """Refuse a result of another method, seed, place or detector than was asked for."""
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
    both = [measures for measures in (result.before, result.after) if measures is not None]
    places = {place for m in both for place in (*m.old_success, *m.fresh_success, *m.fresh_size_ratio)}
    if foreign := sorted(places - asked):
        raise MalformedError(f"it measures {foreign[0]!r:.80}, which was not asked for")
    if any(picture.location is not None and str(picture.location) not in asked for picture in result.pictures):
        raise MalformedError("it shows a picture of a place that was not asked for")
    for measures in both:
        if not measures.accuracy_low - _ROUNDING <= measures.accuracy <= measures.accuracy_high + _ROUNDING:
            raise MalformedError("its accuracy lies outside its own interval")
    if result.status == "repaired" and len(both) != 2:
        raise MalformedError("it claims a repair and measured nothing before or after it")


def _failed(job: ScanJob, task: RepairTask, why: str, ended: WorkerExit) -> Attempted:
    return Attempted(
        RepairResult(
            method=task.method,
            options=task.options,
            status="failed",
            reason=why[:2000],
            seed=job.seed,
            seconds=max(0.0, ended.seconds),
        )
    )


class Kept(Record):
    """The file of one attempt."""

    schema_version: Literal[1] = 1
    job: str
    result: RepairResult
    model_sha256: str = ""


@dataclass(frozen=True)
class KeptAttempts:
    """A remediation's folder of finished attempts."""

    files: CheckFiles

    def earlier(self, job: ScanJob) -> Attempted | None:
        """Return the earlier result of the same attempt; None where there is no usable one."""
        assert job.repair is not None
        path = self._path(job)
        try:
            kept = Kept.from_file(path, limit=MAX_RESULT_BYTES)
            if kept.job != _key(job):
                return None
            check_result(kept.result, job.repair, job.seed)
            if not kept.model_sha256:
                return Attempted(kept.result)
            model = read_bounded(path.with_suffix(".pt2"), limit=MAX_BUNDLE_BYTES)
        except (MalformedError, OSError):
            return None
        return Attempted(kept.result, model) if hashlib.sha256(model).hexdigest() == kept.model_sha256 else None

    def keep(self, job: ScanJob, attempted: Attempted) -> None:
        """Write a finished attempt, its model first, so that no record names a missing model."""
        path = self._path(job)
        with suppress(OSError):
            path.with_suffix(".pt2").unlink(missing_ok=True)
        if attempted.result.status == "failed":
            path.unlink(missing_ok=True)
            return
        digest = ""
        if attempted.model is not None:
            self.files.write(f"{ATTEMPTS}/{path.stem}.pt2", attempted.model)
            digest = hashlib.sha256(attempted.model).hexdigest()
        kept = Kept(job=_key(job), result=attempted.result, model_sha256=digest)
        self.files.write(f"{ATTEMPTS}/{path.name}", kept.pretty_json())

    def _path(self, job: ScanJob) -> Path:
        assert job.repair is not None
        return self.files.root / ATTEMPTS / f"{job.repair.method}.json"


def _key(job: ScanJob) -> str:
    """Return a digest of everything that an attempt's result depends on: no paths, time or memory."""
    assert job.repair is not None
    task = job.repair.model_copy(update={"triggers_path": None})
    inputs = (VERSION, job.manifest.digest, job.policy.digest, job.samples_sha256, job.device, job.seed)
    return hashlib.sha256(f"{inputs} {task.content_sha256}".encode()).hexdigest()
