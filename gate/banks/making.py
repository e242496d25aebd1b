"""`gate bank make`: trains copies of a candidate's own program on trusted data, measures them, and writes their bank.

Workers alone read the program, the data and the copies. A copy counts where it is as good as the candidate on the clean
samples, within a tolerance; those that fall short stay out and are named. What is finished is kept in the work folder,
where the same command goes on. That the data is clean is the operator's claim, as it is for a bank's models.
"""

import math
import os
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from threading import Lock

from gate.banks.assemble import refusal
from gate.banks.build import BuildRequest, Measured, measure, write
from gate.banks.copies import KeptCopies, recipe_of, seed_of, train_copy
from gate.banks.sources import MakeRequest, Source, opened
from gate.check.files import CheckFiles, private_directory
from gate.check.workers import Progress
from gate.records.activity import Tell
from gate.records.bank import LEAST_REFERENCES, Bank
from gate.records.copies import TRAINING_STEP, CopyNote, CopyResult, Recipe, SelfMade
from gate.records.errors import UnexaminableError, UsageError
from gate.records.job import ScanJob
from gate.records.policy import Policy
from gate.records.sample_settings import SamplesPolicy
from gate.registries.contract import Registry
from gate.registries.directory import DirectoryRegistry

MAKING_STEP = "making the copies"
_PARTS = 1000
_ROUNDING = 1e-9
"""By which the difference of two shares of a thousand samples may be off."""
_NAMED = 5


@dataclass(frozen=True)
class Made:
    """One copy, and its measurements if it is as good as the candidate."""

    recipe: Recipe
    result: CopyResult
    measured: Measured | None = None

    @property
    def left_out(self) -> str:
        """Why it cannot be one of the bank's models; empty where it can."""
        if self.result.status != "trained":
            return self.result.reason or "it was not trained"
        return refusal(self.measured.member.evidence) if self.measured else "it was not measured"


def least_models(policy: Policy) -> int:
    """Return the fewest copies whose bank can judge under a policy."""
    if policy.few_references == "judge":
        return LEAST_REFERENCES
    return max(policy.least_references, math.ceil(1 / policy.level - 1e-9) - 1)


def make(registry: Registry, request: MakeRequest, progress: Progress, tell: Tell) -> Bank:
    """Train, measure and write; raise where too few copies are as good as the candidate, and keep them all."""
    least = least_models(request.policy)
    if request.count < least:
        raise UsageError(
            f"--count {request.count} copies are too few: the policy's p-value judges from {least} models on",
            what_to_do=f"Make {least} or more, or lower 'least-references' in the policy, as far as its level allows.",
        )
    CheckFiles.create(request.work)
    with private_directory() as private:
        source = opened(registry, request, private, progress, tell)
        made = list(_all(source, request, progress, tell))
        kept = [one.measured for one in made if one.measured is not None and not one.left_out]
        if len(kept) < least:
            raise _too_few(made, len(kept), least, request)
        told = _building(source, request)
        return write(kept, replace(told, policy=request.policy), tell, _self_made(source, request, made))


def _all(source: Source, request: MakeRequest, progress: Progress, tell: Tell) -> Iterator[Made]:
    """Make every copy, several at a time, and say after each what is left; they are yielded by number."""
    begun, shares = time.monotonic(), _Shares(request.count, progress)
    numbers = range(1, request.count + 1)
    found: dict[int, Made] = {}
    with ThreadPoolExecutor(request.jobs, "gate-copy") as pool:
        try:
            waiting: dict[Future[Made], int] = {
                pool.submit(_made, source, request, number, shares.of(number), tell): number for number in numbers
            }
            for future in as_completed(waiting):
                number = waiting[future]
                found[number] = future.result()
                left = (request.count - len(found)) * (time.monotonic() - begun) / len(found)
                tell(_line(number, found[number], request.count - len(found), left))
        except BaseException:
            # Running workers end with the signal; those that wait are never started.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    yield from (found[number] for number in numbers)


def _line(number: int, made: Made, left: int, seconds: float) -> str:
    result = made.result
    accuracy = "" if result.accuracy is None else f", accuracy {result.accuracy:.1%} after {result.epochs:.3g} passes"
    spent = f" ({result.processor_seconds:.0f} processor seconds)" if result.processor_seconds else ""
    said = f"left out: {made.left_out}" if made.left_out else "in the bank"
    rest = f"; {left} left, about {max(1, round(seconds / 60))} min" if left else ""
    return f"copy {number}{accuracy}{spent}: {said}{rest}"


def _made(source: Source, request: MakeRequest, number: int, progress: Progress, tell: Tell) -> Made:
    """Train one copy, unless it is there, and measure it where it is good enough."""
    job, copies = _job(source, request, number), KeptCopies(CheckFiles(request.work.resolve()))
    assert job.copy_task is not None
    assert job.copy_task.recipe is not None
    result = copies.earlier(job)
    if result is None:
        result, program = train_copy(job, progress)
        if program is not None:
            copies.keep(job, result, program, source.texts)
    if result.status != "trained":
        return Made(job.copy_task.recipe, result)
    folder = copies.folder(number)
    one = measure(str(folder), DirectoryRegistry(), _building(source, request), progress, tell)
    named = replace(one.member, name=f"copy {number} of {source.ref}", uri="")
    return Made(job.copy_task.recipe, result, replace(one, member=named))


def _job(source: Source, request: MakeRequest, number: int) -> ScanJob:
    """Return the job of one copy; every value in it is the orchestrator's own."""
    assert source.trial.accuracy is not None
    seed, task = request.settings.seed_by(request.policy), source.job.copy_task
    assert task is not None
    own = {
        "number": number,
        "recipe": recipe_of(seed, number, pretrained=task.weights_path is not None),
        "goal": max(0.0, source.trial.accuracy - request.tolerance - _ROUNDING),
    }
    changes = {"seed": seed_of(seed, number), "copy_task": task.model_copy(update=own)}
    return source.job.model_copy(update={**changes, "training_path": None, "training_sha256": None})


def _building(source: Source, request: MakeRequest) -> BuildRequest:
    """Return how a copy is measured: as `gate bank build` measures a model, its images read as the candidate's."""
    reading = request.policy.samples.of(source.ref.name).model_dump(exclude={"uri", "sha256"})
    return BuildRequest(
        policy=request.policy.model_copy(update={"samples": SamplesPolicy(**reading)}),
        samples=str(source.samples),
        settings=replace(request.settings, threads=request.threads),
        to=request.to,
        work=request.work / "measured",
        name=request.name,
        provenance=f"copies of {source.ref}, trained by gate bank make on {source.data_name}",
        most_references=request.most_references,
        accept_flagged=f"a copy that gate bank make trained on {source.data_name}, trusted by the bank's maker",
    )


def _self_made(source: Source, request: MakeRequest, made: list[Made]) -> SelfMade:
    task = source.job.copy_task
    assert task is not None
    assert source.trial.accuracy is not None
    notes = (
        CopyNote(
            number=one.result.number,
            recipe=one.recipe,
            accuracy=one.result.accuracy,
            agreement=one.result.agreement,
            epochs=one.result.epochs,
            left_out=one.left_out[:2000],
        )
        for one in made
    )
    return SelfMade(
        candidate=str(source.ref)[:2000],
        candidate_digest=source.digest,
        candidate_accuracy=source.trial.accuracy,
        tolerance=request.tolerance,
        data=source.data_name,
        data_sha256=task.data_sha256,
        data_count=source.trial.images,
        weights=request.weights.name if request.weights else "",
        weights_sha256=task.weights_sha256,
        copies=tuple(notes),
    )


def _too_few(made: list[Made], kept: int, least: int, request: MakeRequest) -> UnexaminableError:
    out = [f"copy {one.result.number}: {one.left_out}" for one in made if one.left_out]
    more = f" and {len(out) - _NAMED} more" if len(out) > _NAMED else ""
    return UnexaminableError(
        f"{kept} of {len(made)} copies are as good as the candidate and could be measured; the policy asks for "
        f"{least}, and no bank was written: {'; '.join(out[:_NAMED])[:1500]}{more}",
        what_to_do="Give them longer with --epochs and --seconds, more data with --data, more copies with --count, or "
        f"a wider --tolerance. All are kept in {request.work}, and the same command goes on there.",
    )


class _Shares:
    """How far all copies are together, told as one step by several threads."""

    def __init__(self, count: int, progress: Progress) -> None:
        self._count, self._progress, self._lock = count, progress, Lock()
        self._shares: dict[int, float] = {}

    def of(self, number: int) -> Progress:
        """Return what takes one copy's progress: half of its share is training, half its scan."""
        scanned: dict[str, float] = {}

        def show(step: str, done: int, total: int) -> None:
            share = done / max(1, total)
            if step != TRAINING_STEP:
                scanned[step] = share
                share = 1 + sum(scanned.values()) / (len(scanned) + 1)
            with self._lock:
                self._shares[number] = max(self._shares.get(number, 0.0), share / 2)
                whole = sum(self._shares.values()) / self._count
                self._progress(MAKING_STEP, min(_PARTS - 1, int(_PARTS * whole)), _PARTS)

        return show


def processors() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))
