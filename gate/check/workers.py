"""One worker: from a folder to a job, to a jailed process, to its result, read by `gate.check.worker_results`.

Only a machine that cannot start workers raises (exit 3).
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from gate.check.base_model import FOLDER as BASE_FOLDER
from gate.check.evidence import HashedFolder, ScanRequest
from gate.check.files import PREVIOUS_FOLDER, TRAINING_FOLDER, Pulled
from gate.check.resume import joined
from gate.check.worker_results import (
    MAX_BUNDLE_BYTES,
    MAX_TOKENIZER_BYTES,
    MAX_TRIGGERS_BYTES,
    expected_detectors,
    opaque,
    read_result,
    read_saved,
)
from gate.jail import gpu_devices
from gate.jail.launch import WorkerExit, programs, run_worker, worker_command
from gate.jail.rights import Rights, lack, rights
from gate.jail.scratch import copy_plain, scratch_directory
from gate.records.errors import CannotFinishError
from gate.records.evidence import Outcome
from gate.records.isolation import DROPPED, isolation_rank, least_dropped
from gate.records.job import (
    CONVERTED_FILE,
    JAIL_REFUSED,
    JOB_FILE,
    RESULT_FILE,
    TOKENIZER_FILE,
    TRIGGERS_FILE,
    WRITTEN_FILE,
    ScanJob,
    ScanResult,
)
from gate.records.record import MalformedError

GRACE_SECONDS = 30.0
"""Seconds beyond a worker's own deadline, to start, to stop and to save."""
_INHERITED = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "ONEDNN_MAX_CPU_ISA", "CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH")
"""The operator's variables that reach a worker; each says how it computes."""
_PROGRAMS = {"converter": CONVERTED_FILE, "writer": WRITTEN_FILE}

Progress = Callable[[str, int, int], None]
Keep = Callable[[ScanResult], None]
Role = Literal["inspector", "converter", "writer", "scan"]


@dataclass(frozen=True)
class Left:
    """A converter's or repairer's program: hostile bytes for the writer."""

    program: Path
    origin: Literal["converted", "composed", "repaired"]


@dataclass(frozen=True)
class Seen:
    """A worker's result and files."""

    result: ScanResult
    triggers: bytes | None = field(default=None, repr=False)
    program: Path | None = None
    """A converter's or writer's program: hostile bytes."""
    tokenizer: Path | None = None
    """A writer's tokenizer, where it left one: hostile bytes."""

    @property
    def outcomes(self) -> dict[str, Outcome]:
        """A copy of the outcomes."""
        return dict(self.result.outcomes)

    def after(self, earlier: "Seen") -> "Seen":
        """Return this joined with an earlier worker's result: its outcomes win, the weakest isolation counts."""
        outcomes = {**self.result.outcomes, **earlier.outcomes}
        problems = (*earlier.result.problems, *self.result.problems)
        joint = self.result.model_copy(update={"outcomes": outcomes, "problems": problems})
        return Seen(joint, self.triggers).as_safe_as(earlier)

    def as_safe_as(self, *others: "Seen") -> "Seen":
        """Return this with the weakest isolation and the most rights of any of these workers, and their seconds."""
        result = self.result
        for other in (one.result for one in others):
            least = {
                "isolation": min(result.isolation, other.isolation, key=isolation_rank),
                "user": least_dropped(result.user, other.user),
                "seconds": {**other.seconds, **result.seconds},
            }
            result = result.model_copy(update=least)
        return Seen(result, self.triggers)

    def computed_beside(self, *others: "Seen") -> "Seen":
        """Return this with the libraries of other workers, which ran no code of the candidate, among its versions."""
        known = {name: value for one in others for name, value in one.result.versions.items()}
        return Seen(self.result.model_copy(update={"versions": {**known, **self.result.versions}}), self.triggers)


@dataclass(frozen=True)
class Workers:
    """The workers of one scan, with their deadline by the monotonic clock."""

    request: ScanRequest
    progress: Progress
    deadline: float

    def inspect(self, place: HashedFolder) -> Seen:
        """Inspect the bytes, within the policy's deadline for that alone."""
        own = min(self.deadline, time.monotonic() + self.request.policy.inspection_deadline)
        return replace(self, deadline=own).run("inspector", place)

    def run(
        self,
        role: Role,
        place: HashedFolder,
        done: Mapping[str, Outcome] | None = None,
        *,
        left: Left | None = None,
        program_to: Path | None = None,
        tokenizer_to: Path | None = None,
    ) -> Seen:
        """Run one worker on a folder, after the outcomes in `done`; its program and tokenizer are copied, unread.

        A scan reuses an interrupted scan's outcomes of an equal job. A writer reads `left` in place of the candidate.
        """
        job = self._job(role, place, done or {}, left)
        if role == "inspector" and not expected_detectors(job.policy, role):
            return Seen(ScanResult(isolation=job.least_isolation, complete=True))
        kept = self.request.unfinished if role == "scan" else None
        earlier = kept.earlier(job) if kept else None
        if earlier is not None:
            job = job.model_copy(update={"done": {**earlier.outcomes, **job.done}})

        def keep(result: ScanResult) -> None:
            if kept is not None:
                kept.keep(job, joined(earlier, result))

        seen = run_job(job, self.progress, keep, program_to, tokenizer_to)
        return replace(seen, result=joined(earlier, seen.result))

    def _job(self, role: Role, place: HashedFolder, done: Mapping[str, Outcome], left: Left | None) -> ScanJob:
        request, pulled = self.request, self.request.pulled
        # The inspector needs no samples, and the writer no training set.
        samples = pulled.samples if role != "inspector" else None
        training = pulled.training if role not in ("inspector", "writer") else None
        bank = request.bank if role == "scan" else None
        limits = request.settings.limits(request.policy)
        if role in ("converter", "writer"):
            limits["device"] = "cpu"
        return ScanJob(
            role=role,
            model=pulled.model,
            manifest=place.manifest,
            root=str(place.root),
            policy=request.policy,
            seed=request.seed,
            probe_seed=request.settings.probe_seed if role == "scan" else None,
            deadline_seconds=max(1.0, self.deadline - time.monotonic()),
            allowed_seconds=request.settings.seconds(request.policy),
            allow_code=role == "converter" and request.settings.allow_code,
            left_path=str(left.program) if left else None,
            left_origin=left.origin if left else None,
            training_path=str(request.base / TRAINING_FOLDER / training.name) if training else None,
            training_sha256=training.sha256 if training else None,
            bank=bank.bank if bank else None,
            bank_folder=str(bank.folder) if bank else "",
            previous=pulled.previous if role == "scan" else None,
            previous_folder=str(request.base / PREVIOUS_FOLDER) if role == "scan" and _has_earlier(pulled) else "",
            base_folder=str(request.base / BASE_FOLDER) if role != "converter" and pulled.base else "",
            base_digest=pulled.base.manifest.digest if role != "converter" and pulled.base else "",
            done=dict(done),
            **(samples.of_job(request.base) if samples else {}),
            **limits,
        )


def _has_earlier(pulled: Pulled) -> bool:
    """Tell whether the files of any other version lie beside the candidate's."""
    return pulled.previous is not None and any(not version.why for version in pulled.previous.versions)


def run_job(
    job: ScanJob,
    progress: Progress,
    keep: Keep = lambda _result: None,
    program_to: Path | None = None,
    tokenizer_to: Path | None = None,
) -> Seen:
    """Run one worker and return its result, with failures for missing outcomes.

    When a detector begins, `keep` gets what the worker had saved. Its program is copied to `program_to` and a writer's
    tokenizer to `tokenizer_to`, both unread.
    """
    with scratch_directory() as scratch:
        ended, user = run_in_scratch(job, scratch, _keeping(scratch, job, progress, keep))
        result = read_result(scratch, job, ended).model_copy(update={"user": user})
        triggers = opaque(scratch / TRIGGERS_FILE, MAX_TRIGGERS_BYTES)
        left = scratch / _PROGRAMS[job.role] if job.role in _PROGRAMS else None
        program = _copied(left, program_to, MAX_BUNDLE_BYTES)
        tokenizer = _copied(scratch / TOKENIZER_FILE, tokenizer_to, MAX_TOKENIZER_BYTES)
        return Seen(result, triggers, program, tokenizer)


def _copied(left: Path | None, to: Path | None, limit: int) -> Path | None:
    """Copy a worker's file, and return its place; None where it left none that is plain and within the limit."""
    return to if left is not None and to is not None and copy_plain(left, to, limit) else None


def run_in_scratch(job: ScanJob, scratch: Path, progress: Progress) -> tuple[WorkerExit, str]:
    """Run one jailed worker; return how it ended and, under root, as which user. The scratch then has hostile bytes."""
    raw = job.canonical_json()
    (scratch / JOB_FILE).write_bytes(raw)
    heard: list[str] = []
    given = _rights(job, scratch)
    # Threads sleep while they wait: spinning slows a busy machine tenfold and more.
    passed_on = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    ended = run_worker(
        worker_command("gate.worker", str(scratch), hashlib.sha256(raw).hexdigest()),
        scratch=scratch,
        deadline_seconds=job.deadline_seconds + GRACE_SECONDS,
        variables={"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", **passed_on},
        on_line=lambda line: _relay(line, progress, heard),
        drop_user=given.dropped,
        group=given.group,
    )
    # A worker is silent until its jail is shut; this code after any output is a candidate's forgery.
    if ended.exit_code == JAIL_REFUSED and not heard:
        raise CannotFinishError(
            f"the worker's jail could not be built: {ended.stderr_tail.strip().splitlines()[-1:] or ['no reason']}",
            what_to_do="Run on Linux 5.13 or newer with Landlock, or accept less with 'isolation' in the policy.",
        )
    return ended, "" if os.geteuid() != 0 else DROPPED if given.dropped else f"root: {given.kept}"


def _rights(job: ScanJob, scratch: Path) -> Rights:
    if why := lack():
        return Rights(kept=why)
    data = [path for path in job.reads if path.exists()]
    return rights(scratch, programs(), data, gpu_devices() if job.may_use_gpu else ())


def _relay(line: str, progress: Progress, heard: list[str]) -> None:
    """Pass a line of progress on; anything else that a worker prints is dropped."""
    if not heard:
        heard.append(line)
    try:
        value = json.loads(line)
        step, done, total = value["step"], value["done"], value["total"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return
    if isinstance(step, str) and isinstance(done, int) and isinstance(total, int) and 0 <= done <= total < 1 << 40:
        progress(step[:60], done, total)


def _keeping(scratch: Path, job: ScanJob, progress: Progress, keep: Keep) -> Progress:
    """Return progress that also passes on what was saved, once a detector, however many lines a worker prints."""
    awaited = set(expected_detectors(job.policy, job.role))

    def show(step: str, done: int, total: int) -> None:
        progress(step, done, total)
        if step in awaited and (scratch / RESULT_FILE).exists():
            awaited.discard(step)
            with suppress(MalformedError):
                keep(read_saved(scratch, job))

    return show
