"""One worker of a check: from what is asked and where it lies to the job, and from its report to what was seen.

Between `gate.check.scan`, which decides who runs after whom, and `gate.check.workers`, which starts them.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gate.check.evidence import Place, ScanRequest
from gate.check.files import SAMPLES_FOLDER, TRAINING_FOLDER
from gate.check.resume import joined
from gate.check.workers import Progress, expected_detectors, run_job
from gate.records.evidence import Outcome, isolation_rank, least_dropped
from gate.records.job import ScanJob, ScanResult


@dataclass(frozen=True)
class Left:
    """A program that a converter or a repairer left: hostile bytes, for the writer to read."""

    program: Path
    origin: Literal["converted", "repaired"]


@dataclass(frozen=True)
class Worker:
    """Which worker to run, until when, on which folder, after what."""

    role: Literal["inspector", "converter", "writer", "scan"]
    deadline: float
    place: Place
    done: dict[str, Outcome] = field(default_factory=dict)
    left: Left | None = None
    """For the writer: what is to be read in the candidate's place."""
    program_to: Path | None = None
    """Where the program goes that a converter or writer leaves."""


@dataclass(frozen=True)
class Seen:
    """What a worker saw and left."""

    result: ScanResult
    triggers: bytes | None = None
    program: Path | None = None

    @property
    def outcomes(self) -> dict[str, Outcome]:
        """The outcomes as a dictionary of one's own."""
        return dict(self.result.outcomes)

    def after(self, *earlier: "Seen") -> "Seen":
        """Return this with what earlier workers saw: their outcomes win, the weakest isolation counts."""
        result = self.result
        for one in earlier:
            result = result.model_copy(
                update={
                    "outcomes": {**result.outcomes, **one.outcomes},
                    "problems": (*one.result.problems, *result.problems),
                    "seconds": {**one.result.seconds, **result.seconds},
                    **_weaker(result, one.result),
                }
            )
        return Seen(result, self.triggers)

    def as_safe_as(self, *others: "Seen") -> "Seen":
        """Return this with the weakest isolation and the most rights that any of these workers had, and their time."""
        result = self.result
        for one in others:
            seconds = {**one.result.seconds, **result.seconds}
            result = result.model_copy(update={"seconds": seconds, **_weaker(result, one.result)})
        return Seen(result, self.triggers)


def _weaker(one: ScanResult, other: ScanResult) -> dict[str, str]:
    return {
        "isolation": min(one.isolation, other.isolation, key=isolation_rank),
        "user": least_dropped(one.user, other.user),
    }


def inspect(request: ScanRequest, progress: Progress, deadline: float, place: Place) -> Seen:
    """Look at the bytes, in the seconds that the policy gives to that alone."""
    own = min(deadline, time.monotonic() + request.policy.inspection_deadline)
    return run(request, progress, Worker("inspector", own, place))


def run(request: ScanRequest, progress: Progress, worker: Worker) -> Seen:
    """Run one worker to its end; a scan takes up what an earlier scan by the very same job had finished."""
    isolation = request.settings.isolation or request.policy.isolation
    if worker.role == "inspector" and not expected_detectors(request.policy, "inspector"):
        return Seen(ScanResult(isolation=isolation, complete=True))
    job = _job(request, worker, isolation)
    kept = request.unfinished if worker.role == "scan" else None
    if kept is None:
        report = run_job(job, progress, program_to=worker.program_to)
        return Seen(report.result, report.triggers, report.program)
    earlier = kept.earlier(job)
    asked = job if earlier is None else job.model_copy(update={"done": {**earlier.outcomes, **job.done}})
    report = run_job(asked, progress, lambda result: kept.keep(asked, joined(earlier, result)))
    return Seen(joined(earlier, report.result), report.triggers)


def _job(request: ScanRequest, worker: Worker, isolation: Literal["full", "partial", "none"]) -> ScanJob:
    pulled, policy, settings = request.pulled, request.policy, request.settings
    # The inspector needs none, and the writer none to learn from.
    samples = pulled.samples if worker.role != "inspector" else None
    training = pulled.training if worker.role not in ("inspector", "writer") else None
    return ScanJob(
        role=worker.role,
        model=pulled.model,
        manifest=worker.place.manifest,
        root=str(worker.place.root),
        policy=policy,
        seed=request.seed,
        device="cpu" if worker.role in ("converter", "writer") else settings.device or policy.device,
        deadline_seconds=max(1.0, worker.deadline - time.monotonic()),
        memory_bytes=int(settings.memory_gib * 2**30),
        threads=settings.threads,
        least_isolation=isolation,
        left_path=str(worker.left.program) if worker.left else None,
        left_origin=worker.left.origin if worker.left else None,
        samples_path=str(request.base / SAMPLES_FOLDER / samples.name) if samples else None,
        training_path=str(request.base / TRAINING_FOLDER / training.name) if training else None,
        samples_source=samples.source if samples else "",
        samples_sha256=samples.sha256 if samples else None,
        samples_overridden=samples.overridden if samples else False,
        training_sha256=training.sha256 if training else None,
        bank=request.bank.bank if request.bank and worker.role == "scan" else None,
        bank_folder=str(request.bank.folder) if request.bank and worker.role == "scan" else "",
        done=worker.done,
    )
