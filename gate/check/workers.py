"""The orchestrator's side of a scan: prepare scratch and job, start the worker in its jail, read what it left.

A worker's result is hostile bytes: bounded, schema-checked, and believed about nothing that the orchestrator knows
itself. Whatever goes wrong with a worker becomes failed outcomes and a problem in words, and so a flagged verdict;
only a machine that cannot start workers at all raises (exit 3).
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from gate import detectors
from gate.detectors.contract import Need
from gate.jail import gpu_devices
from gate.jail.launch import WorkerExit, programs, run_worker, worker_command
from gate.jail.rights import Rights, lack, rights
from gate.jail.scratch import copy_plain, scratch_directory
from gate.records.bank import reference_path
from gate.records.errors import CannotFinishError
from gate.records.evidence import DROPPED, Failed, Measured, Outcome
from gate.records.job import (
    CONVERTED_FILE,
    JAIL_REFUSED,
    JOB_FILE,
    RESULT_FILE,
    TRIGGERS_FILE,
    WRITTEN_FILE,
    ScanJob,
    ScanResult,
)
from gate.records.policy import Policy
from gate.records.record import MAX_JSON_BYTES, MalformedError, read_bounded

GRACE_SECONDS = 30.0
"""What a worker gets beyond its own deadline, to start, to stop and to save."""

MAX_RESULT_TEXT = MAX_JSON_BYTES // 2
MAX_TRIGGERS_BYTES = 256 << 20
MAX_BUNDLE_BYTES = 8 << 30
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH")

Progress = Callable[[str, int, int], None]
Keep = Callable[[ScanResult], None]


@dataclass(frozen=True)
class WorkerReport:
    """One worker's checked result, and the triggers' file if it left one."""

    result: ScanResult
    exit: WorkerExit
    triggers: bytes | None = field(default=None, repr=False)
    program: Path | None = None
    """Where the program lies that a converter or writer left: hostile bytes."""


_PROGRAMS = {"converter": CONVERTED_FILE, "writer": WRITTEN_FILE}


def run_job(
    job: ScanJob, progress: Progress, keep: Keep = lambda _result: None, program_to: Path | None = None
) -> WorkerReport:
    """Run one worker to its end and return its result, with failures filled in for whatever it did not answer.

    Whenever a detector begins, `keep` is given what the worker had saved before. The program that a converter or
    writer leaves is copied to `program_to`, unread.
    """
    with scratch_directory() as scratch:
        ended, user = run_in_scratch(job, scratch, _keeping(scratch, job, progress, keep))
        result = _read_result(scratch, job, ended).model_copy(update={"user": user})
        triggers = opaque(scratch / TRIGGERS_FILE, MAX_TRIGGERS_BYTES)
        left = scratch / _PROGRAMS[job.role] if job.role in _PROGRAMS else None
        copied = left is not None and program_to is not None and copy_plain(left, program_to, MAX_BUNDLE_BYTES)
        return WorkerReport(result, ended, triggers, program_to if copied else None)


def run_in_scratch(job: ScanJob, scratch: Path, progress: Progress) -> tuple[WorkerExit, str]:
    """Run one jailed worker to its end and say how it ended and, under root, as whom it ran.

    What it left in the scratch is hostile bytes.
    """
    raw = job.canonical_json()
    (scratch / JOB_FILE).write_bytes(raw)
    heard: list[str] = []
    given = _rights(job, scratch)
    ended = run_worker(
        worker_command("gate.worker", str(scratch), hashlib.sha256(raw).hexdigest()),
        scratch=scratch,
        deadline_seconds=job.deadline_seconds + GRACE_SECONDS,
        variables=_passed_on(),
        on_line=lambda line: _relay(line, progress, heard),
        drop_user=given.dropped,
        group=given.group,
    )
    # Before the jail is shut a worker is silent; the same code from one that has spoken is a candidate's forgery.
    if ended.exit_code == JAIL_REFUSED and not heard:
        raise CannotFinishError(
            f"the worker's jail could not be built: {ended.stderr_tail.strip().splitlines()[-1:] or ['no reason']}",
            what_to_do="Run on Linux 5.13 or newer with Landlock, or accept less with 'isolation' in the policy.",
        )
    return ended, "" if os.geteuid() != 0 else DROPPED if given.dropped else f"root: {given.kept}"


def _rights(job: ScanJob, scratch: Path) -> Rights:
    """Return with which user and group a worker of this job runs."""
    if why := lack():
        return Rights(kept=why)
    named = (
        job.root,
        job.left_path,
        job.samples_path,
        job.training_path,
        job.repair.triggers_path if job.repair else None,
    )
    data = [Path(path) for path in named if path and Path(path).exists()]
    bank = job.bank.references if job.bank else ()
    data += [path for one in bank if (path := reference_path(Path(job.bank_folder), one)) is not None]
    return rights(scratch, programs(), data, gpu_devices() if job.may_use_gpu else ())


def _passed_on() -> Mapping[str, str]:
    # Threads that wait asleep: spinning ones slow a busy machine down by a factor of ten and more.
    quiet = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
    return quiet | {name: os.environ[name] for name in _THREAD_VARIABLES if name in os.environ}


def _relay(line: str, progress: Progress, heard: list[str]) -> None:
    """Pass a line of progress on if it is one; anything else that a worker prints is dropped."""
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
    """Return progress that also hands on what was saved, once a detector: no worker can make it read for ever."""
    expected = expected_detectors(job.policy, job.role)
    awaited = set(expected)

    def told(step: str, done: int, total: int) -> None:
        progress(step, done, total)
        if step in awaited and (scratch / RESULT_FILE).exists():
            awaited.discard(step)
            with suppress(MalformedError):
                keep(_checked(scratch, job, expected))

    return told


def _checked(scratch: Path, job: ScanJob, expected: tuple[str, ...]) -> ScanResult:
    """Read a result; one that is no result, or none of this job's, is malformed."""
    result = ScanResult.from_file(scratch / RESULT_FILE)
    _check(result, job, expected)
    _check_size(result)
    return result


def _read_result(scratch: Path, job: ScanJob, ended: WorkerExit) -> ScanResult:
    """Return the checked result; a missing, forged or partial one is completed with failures."""
    expected = expected_detectors(job.policy, job.role)
    try:
        result = _checked(scratch, job, expected)
    except MalformedError as error:
        return _without_result(expected, ended, str(error))
    if result.complete and ended.ended_by_itself:
        return result
    return _completed(result, expected, ended)


def expected_detectors(policy: Policy, role: str) -> tuple[str, ...]:
    """Return the ids of the policy's detectors that a role runs."""
    if role in {"writer", "sampler"}:
        return ()
    inspected = {name for name in policy.detectors if detectors.load(name).needs == Need.FILES}
    return tuple(name for name in policy.detectors if (name in inspected) == (role == "inspector"))


def _check(result: ScanResult, job: ScanJob, expected: tuple[str, ...]) -> None:
    """Refuse a result that speaks of what was not asked."""
    if foreign := sorted(set(result.outcomes) - set(expected) - set(job.done)):
        raise MalformedError(f"the worker's result names the detector {foreign[0]!r:.80}, which was not asked for")
    for name, outcome in result.outcomes.items():
        if dict(outcome.options) != dict(job.policy.options_of(name)):
            raise MalformedError(f"the worker's result states other options of {name} than the policy")
        if name in job.done and outcome != job.done[name]:
            raise MalformedError(f"the worker's result changes the finished outcome of {name}")
        if isinstance(outcome, Measured):
            known = {metric.id for metric in detectors.load(name).metrics}
            if strange := sorted({m.metric for m in outcome.measurements} - known):
                raise MalformedError(
                    f"the worker's result has a metric {strange[0]!r:.80} that {name} does not declare"
                )
            _check_undefined(name, outcome)
    _check_references(result, job)
    _check_programs(result, job)
    if result.converted:
        return
    missing = [name for name in expected if name not in result.outcomes]
    if result.complete and missing:
        raise MalformedError(f"the worker's result calls itself complete and lacks {missing[0]}")


def _check_undefined(name: str, outcome: Measured) -> None:
    """Refuse a gap that is said to be in the metric's nature, where the detector's own spec does not say so."""
    declared = {metric.id: metric.least_classes for metric in detectors.load(name).metrics}
    for gap in outcome.unmeasured:
        if gap.least_classes is not None and gap.least_classes != declared.get(gap.metric):
            raise MalformedError(
                f"the worker's result says that {gap.metric!r:.80} of {name} exists from {gap.least_classes} classes on"
            )


def _check_programs(result: ScanResult, job: ScanJob) -> None:
    """Refuse a result that speaks of a program which its worker was not asked for."""
    if result.written is not None and job.role != "writer":
        raise MalformedError("the worker's result speaks of a program that it was not asked to write")
    if result.written is not None and job.left_origin not in {None, result.written.origin}:
        raise MalformedError(f"the program was {job.left_origin}, and the worker's result says {result.written.origin}")
    if result.written is not None and job.left_origin is None and result.written.origin in {"converted", "repaired"}:
        raise MalformedError(f"the program is the candidate's, and the worker's result says {result.written.origin}")
    if result.converted and (job.role != "converter" or result.outcomes):
        raise MalformedError("the worker's result speaks of a conversion that was not asked for")


def _check_references(result: ScanResult, job: ScanJob) -> None:
    """Refuse a result that speaks of reference models which its worker was not given."""
    given = [(reference.path, reference.sha256) for reference in (job.bank.references if job.bank else ())]
    said = [(reference.path, reference.sha256) for reference in result.references]
    if said and said != given:
        raise MalformedError("the worker's result speaks of other reference models than it was given")


def _check_size(result: ScanResult) -> None:
    """Refuse a result that is too large as text: evidence that a later step cannot read would end there as an error."""
    if len(result.pretty_json()) > MAX_RESULT_TEXT:
        raise MalformedError(f"the worker's result is larger than {MAX_RESULT_TEXT} bytes")


def _without_result(expected: tuple[str, ...], ended: WorkerExit, why: str) -> ScanResult:
    text = f"{manner(ended)} Its result was not accepted: {why}"[:2000]
    outcomes: dict[str, Outcome] = {name: Failed(error=text) for name in expected}
    return ScanResult(isolation="none", outcomes=outcomes, problems=(text,))


def _completed(result: ScanResult, expected: tuple[str, ...], ended: WorkerExit) -> ScanResult:
    text = f"{manner(ended)} What it had saved before is kept."[:2000]
    failed: dict[str, Outcome] = {name: Failed(error=text) for name in expected if name not in result.outcomes}
    return result.model_copy(
        update={"outcomes": {**result.outcomes, **failed}, "problems": (*result.problems, text), "complete": False}
    )


def manner(ended: WorkerExit) -> str:
    """Return how the worker ended, in one sentence."""
    if ended.timed_out:
        return f"The worker did not end in time and was killed after {ended.seconds:.0f} s."
    if ended.said_too_much:
        return "The worker printed more than is allowed and was killed."
    if ended.signal is not None:
        return f"The worker was killed by signal {ended.signal}."
    last = ended.stderr_tail.strip().splitlines()[-1:]
    return f"The worker ended with exit code {ended.exit_code}." + (f" Its last words: {last[0][:300]}" if last else "")


def opaque(path: Path, limit: int) -> bytes | None:
    """Return a worker's file as bytes that the orchestrator never parses; none where it is odd or too large."""
    try:
        return read_bounded(path, limit=limit)
    except (MalformedError, OSError):
        return None
