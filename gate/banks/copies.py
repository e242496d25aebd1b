"""One copy of a candidate's program: its recipe, drawn by a seed, a jailed worker that trains it, and its kept files.

Any error of a trainer is a failed copy with a reason; its files are hostile bytes, and the copy is scanned like any
model. A finished copy is kept as a model folder of its own and a record, written last, by which it is known again.
"""

import hashlib
import math
import random
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gate import VERSION
from gate.check.bundle.folder import PROGRAM
from gate.check.files import CheckFiles
from gate.check.worker_results import MAX_BUNDLE_BYTES, manner, opaque
from gate.check.workers import Progress, run_in_scratch
from gate.jail.inert import inert_line
from gate.jail.launch import WorkerExit
from gate.jail.scratch import scratch_directory
from gate.records.artifact import file_sha256
from gate.records.copies import COPY_FILE, COPY_PROGRAM, TRIAL_FILE, CopyResult, CopyTask, Recipe, Trial
from gate.records.errors import CannotFinishError
from gate.records.job import ScanJob
from gate.records.provenance import PROVENANCE
from gate.records.record import MalformedError, Record

_MAX_RESULT_BYTES = 1 << 20
_SPARE_BYTES = 64 << 20
"""Bytes by which a copy may exceed twice the program that it is one of."""
_GAINS, _RATES, _DECAYS = (0.4, 1.0), (5e-4, 4e-3), (1e-5, 1e-2)
_PRETRAINED = 0.2
"""Share of the learning rate for copies that start from trained weights."""
_BATCHES, _SHIFTS, _ROUNDS_BEYOND = (32, 64, 128), (0, 1, 2), (0, 1)
_SMOOTHINGS, _MOST_NOISE = (0.0, 0.0, 0.05, 0.1), 0.04


def recipe_of(seed: int, number: int, *, pretrained: bool) -> Recipe:
    """Draw a copy's recipe; the same seed and number give the same one."""
    draw = random.Random(f"copy {number} by seed {seed}")  # noqa: S311  # a draw that anyone can repeat
    rate = _between(draw, *_RATES) * (_PRETRAINED if pretrained else 1.0)
    return Recipe(
        gain=float(f"{_between(draw, *_GAINS):.3g}"),
        learning_rate=float(f"{rate:.3g}"),
        batch=draw.choice(_BATCHES),
        smoothing=draw.choice(_SMOOTHINGS),
        weight_decay=float(f"{_between(draw, *_DECAYS):.3g}"),
        shift=draw.choice(_SHIFTS),
        noise=round(draw.uniform(0, _MOST_NOISE), 4),
        rounds_beyond=draw.choice(_ROUNDS_BEYOND),
    )


def seed_of(seed: int, number: int) -> int:
    """Return the seed of one copy's values and training."""
    return int.from_bytes(hashlib.sha256(f"copy {number} by seed {seed}".encode()).digest()[:4])


def _between(draw: random.Random, least: float, greatest: float) -> float:
    """Return a number whose logarithm is drawn evenly."""
    return math.exp(draw.uniform(math.log(least), math.log(greatest)))


def try_out(job: ScanJob, progress: Progress) -> Trial:
    """Have a jailed trainer look at candidate and data; one that breaks is an error of this machine."""
    with scratch_directory() as scratch:
        ended, _ = run_in_scratch(job, scratch, progress)
        try:
            seen = Trial.from_file(scratch / TRIAL_FILE, limit=_MAX_RESULT_BYTES)
        except MalformedError:
            seen = None
    if seen is None or not ended.ended_by_itself or not (seen.fault or seen.accuracy is not None):
        raise CannotFinishError(
            f"the look at the candidate and the trusted data came to no end: {inert_line(manner(ended), limit=500)}",
            what_to_do="Give the worker more with --memory, or fewer images with --data.",
        )
    return seen


def train_copy(job: ScanJob, progress: Progress) -> tuple[CopyResult, bytes | None]:
    """Run one trainer to its end; return its result and the copy's program, hostile bytes, if it left one."""
    task = job.copy_task
    assert task is not None
    with scratch_directory() as scratch:
        ended, _ = run_in_scratch(job, scratch, progress)
        try:
            result = CopyResult.from_file(scratch / COPY_FILE, limit=_MAX_RESULT_BYTES)
            _check(result, task, job.seed)
        except MalformedError as error:
            return _failed(task, job.seed, f"{manner(ended)} Its result was not accepted: {error}", ended), None
        limit = min(MAX_BUNDLE_BYTES, 2 * job.manifest.size_bytes + _SPARE_BYTES)
        program = opaque(scratch / COPY_PROGRAM, limit)
    if not ended.ended_by_itself:
        return _failed(task, job.seed, manner(ended), ended), None
    if result.status == "failed":
        return result, None
    if not program:
        return _failed(task, job.seed, f"It left no program, or one larger than {limit} bytes.", ended), None
    return result, program


def _check(result: CopyResult, task: CopyTask, seed: int) -> None:
    """Refuse a result of another copy, and one whose word does not fit its own accuracy."""
    if (result.number, result.seed) != (task.number, seed):
        raise MalformedError(f"it is of copy {result.number}, seed {result.seed}; {task.number}, {seed} was asked for")
    if result.status != "failed" and result.accuracy is None:
        raise MalformedError("it has no accuracy")
    if (result.status == "trained") != (result.accuracy is not None and result.accuracy >= task.goal):
        raise MalformedError(f"it is called {result.status!r} at an accuracy of {result.accuracy}")


def _failed(task: CopyTask, seed: int, why: str, ended: WorkerExit) -> CopyResult:
    return CopyResult(
        number=task.number, seed=seed, status="failed", reason=why[:2000], seconds=max(0.0, ended.seconds)
    )


class Kept(Record):
    """The record of one copy."""

    schema_version: Literal[1] = 1
    job: str
    """Digest of everything that the copy depends on."""
    limits: tuple[int | None, float, float]
    """Passes and seconds within which it was trained, and its goal."""
    result: CopyResult
    model_sha256: str


@dataclass(frozen=True)
class KeptCopies:
    """A folder of finished copies: for each a model folder, and a record beside it."""

    files: CheckFiles

    def folder(self, number: int) -> Path:
        """Return the model folder of a copy, which `gate check` takes like any other."""
        return self.files.root / f"copy-{number:03d}"

    def earlier(self, job: ScanJob) -> CopyResult | None:
        """Return the result of the same copy, if it was finished; one below the goal only for the same limits."""
        task = job.copy_task
        assert task is not None
        try:
            kept = Kept.from_file(self._record(task.number), limit=_MAX_RESULT_BYTES)
            result = _by_goal(kept.result, task)
            _check(result, task, job.seed)
            same = kept.job == _key(job) and (result.status == "trained" or kept.limits == _limits(task))
            found = file_sha256(self.folder(task.number) / PROGRAM) if same else ""
        except (MalformedError, OSError):
            return None
        return result if found == kept.model_sha256 else None

    def keep(self, job: ScanJob, result: CopyResult, program: bytes, texts: Path) -> None:
        """Write a copy's folder, with the candidate's bundle's texts (`texts`), and its record last."""
        task = job.copy_task
        assert task is not None
        with suppress(OSError):
            self._record(task.number).unlink(missing_ok=True)
        name = self.folder(task.number).name
        for path in sorted(texts.rglob("*")):
            relative = path.relative_to(texts).as_posix()
            if path.is_file() and relative not in {PROGRAM, PROVENANCE}:  # the candidate's own, and where it is from
                self.files.write(f"{name}/{relative}", path.read_bytes())
        self.files.write(f"{name}/{PROGRAM}", program)
        digest = hashlib.sha256(program).hexdigest()
        kept = Kept(job=_key(job), limits=_limits(task), result=result, model_sha256=digest)
        self.files.write(self._record(task.number).name, kept.pretty_json())

    def _record(self, number: int) -> Path:
        return self.files.root / f"copy-{number:03d}.json"


def _by_goal(result: CopyResult, task: CopyTask) -> CopyResult:
    """Return an earlier result by today's goal, which `--tolerance` may have moved."""
    good = result.accuracy is not None and result.accuracy >= task.goal
    return result.model_copy(update={"status": "trained", "reason": ""} if good else {"status": "short"})


def _limits(task: CopyTask) -> tuple[int | None, float, float]:
    return task.epochs, task.seconds, task.goal


def _key(job: ScanJob) -> str:
    """Return a digest of everything that a copy depends on but goal and limits: no paths, names or memory."""
    task = job.copy_task
    assert task is not None
    reading = job.policy.samples.of(job.model.name).reading
    inputs = (VERSION, job.manifest.digest, job.samples_sha256, reading, job.device, job.seed)
    own = (task.number, task.recipe, task.data_sha256, task.weights_sha256)
    return hashlib.sha256(f"{inputs} {own}".encode()).hexdigest()
