"""A worker's files, read as hostile bytes: bounded, schema-checked, and refused where they answer more than was asked.

Every fault of a worker becomes failed outcomes and a problem, and so a flagged verdict.
"""

from pathlib import Path

from gate import detectors
from gate.jail.launch import WorkerExit
from gate.records.evidence import Failed, Measured, Outcome
from gate.records.job import RESULT_FILE, ScanJob, ScanResult
from gate.records.policy import Policy
from gate.records.record import MAX_JSON_BYTES, MalformedError, read_bounded

MAX_RESULT_TEXT = MAX_JSON_BYTES // 2
MAX_TRIGGERS_BYTES, MAX_BUNDLE_BYTES, MAX_TOKENIZER_BYTES = 256 << 20, 8 << 30, 64 << 20


def expected_detectors(policy: Policy, role: str) -> tuple[str, ...]:
    """Return the ids of the policy's detectors that a role runs."""
    if role in {"writer", "sampler"}:
        return ()
    inspected = {name for name in policy.detectors if detectors.load(name).on_files}
    return tuple(name for name in policy.detectors if (name in inspected) == (role == "inspector"))


def read_saved(scratch: Path, job: ScanJob) -> ScanResult:
    """Read a result; one that does not fit this job is a `MalformedError`."""
    result = ScanResult.from_file(scratch / RESULT_FILE)
    expected = expected_detectors(job.policy, job.role)
    _check_outcomes(result, job, expected)
    _check_references(result, job)
    _check_previous(result, job)
    _check_programs(result, job)
    _check_plan(result, expected)
    missing = [name for name in expected if name not in result.outcomes]
    if result.complete and missing and not result.converted:
        raise MalformedError(f"the worker's result calls itself complete and lacks {missing[0]}")
    # A later step could not read the evidence, and would end with an error in place of a verdict.
    if len(result.pretty_json()) > MAX_RESULT_TEXT:
        raise MalformedError(f"the worker's result is larger than {MAX_RESULT_TEXT} bytes")
    return result


def read_result(scratch: Path, job: ScanJob, ended: WorkerExit) -> ScanResult:
    """Return the checked result; a missing, forged or partial one is completed with failures."""
    expected = expected_detectors(job.policy, job.role)
    try:
        result = read_saved(scratch, job)
    except MalformedError as error:
        text = f"{manner(ended)} Its result was not accepted: {error}"[:2000]
        return ScanResult(isolation="none", outcomes={name: Failed(error=text) for name in expected}, problems=(text,))
    if result.complete and ended.ended_by_itself:
        return result
    text = f"{manner(ended)} What it had saved before is kept."[:2000]
    failed: dict[str, Outcome] = {name: Failed(error=text) for name in expected if name not in result.outcomes}
    return result.model_copy(
        update={"outcomes": {**result.outcomes, **failed}, "problems": (*result.problems, text), "complete": False}
    )


def _check_outcomes(result: ScanResult, job: ScanJob, expected: tuple[str, ...]) -> None:
    if foreign := sorted(set(result.outcomes) - set(expected) - set(job.done)):
        raise MalformedError(f"the worker's result names the detector {foreign[0]!r:.80}, which was not asked for")
    for name, outcome in result.outcomes.items():
        if dict(outcome.options) != dict(job.policy.options_of(name)):
            raise MalformedError(f"the worker's result states other options of {name} than the policy")
        if name in job.done and outcome != job.done[name]:
            raise MalformedError(f"the worker's result changes the finished outcome of {name}")
        if isinstance(outcome, Measured):
            _check_metrics(name, outcome)
            _check_secret(name, outcome, job.probe_seed)


def _check_metrics(name: str, outcome: Measured) -> None:
    declared = {metric.id: metric.least_classes for metric in detectors.load(name).metrics}
    if strange := sorted({m.metric for m in outcome.measurements} - declared.keys()):
        raise MalformedError(f"the worker's result has a metric {strange[0]!r:.80} that {name} does not declare")
    for gap in outcome.unmeasured:
        if gap.least_classes is not None and gap.least_classes != declared.get(gap.metric):
            raise MalformedError(
                f"the worker's result says that {gap.metric!r:.80} of {name} exists from {gap.least_classes} classes on"
            )


def _check_secret(name: str, outcome: Measured, seed: str | None) -> None:
    """Refuse counts of secret probes that were not asked for, or are not those that were."""
    secret = outcome.secret_counts
    if seed is None:
        if secret is not None:
            raise MalformedError(f"the worker's result has {name} count secret probes, and it was given none")
    elif outcome.counts is not None and (secret is None or secret.opened(seed) is None):
        raise MalformedError(f"the worker's result lacks the answers to secret probes that {name} was given")


def _check_plan(result: ScanResult, expected: tuple[str, ...]) -> None:
    if foreign := sorted(set(result.plan.detectors if result.plan else ()) - set(expected)):
        raise MalformedError(f"the worker's plan names the detector {foreign[0]!r:.80}, which was not asked for")


def _check_programs(result: ScanResult, job: ScanJob) -> None:
    if result.written_adapter is not None and (job.role != "writer" or job.left_path is not None):
        raise MalformedError("the worker's result speaks of an adapter that it was not asked to write")
    if result.written is not None:
        origin = result.written.origin
        if job.role != "writer":
            raise MalformedError("the worker's result speaks of a program that it was not asked to write")
        if job.left_origin not in {None, origin}:
            raise MalformedError(f"the program was {job.left_origin}, and the worker's result says {origin}")
        if job.left_origin is None and origin in {"converted", "composed", "repaired"}:
            raise MalformedError(f"the program is the candidate's, and the worker's result says {origin}")
    if result.converted and (job.role != "converter" or result.outcomes):
        raise MalformedError("the worker's result speaks of a conversion that was not asked for")


def _check_references(result: ScanResult, job: ScanJob) -> None:
    given = [(reference.path, reference.sha256) for reference in (job.bank.references if job.bank else ())]
    claimed = [(reference.path, reference.sha256) for reference in result.references]
    if claimed and claimed != given:
        raise MalformedError("the worker's result speaks of other reference models than it was given")


def _check_previous(result: ScanResult, job: ScanJob) -> None:
    given = [version.manifest.digest for version in (job.previous.versions if job.previous else ())]
    claimed = [claim.digest for claim in result.previous]
    if claimed and claimed != given:
        raise MalformedError("the worker's result speaks of other versions than it was given")


def manner(ended: WorkerExit) -> str:
    """Return how the worker ended, in a sentence."""
    if ended.timed_out:
        return f"The worker did not end in time and was killed after {ended.seconds:.0f} s."
    if ended.said_too_much:
        return "The worker printed more than is allowed and was killed."
    if ended.signal is not None:
        return f"The worker was killed by signal {ended.signal}."
    last = ended.stderr_tail.strip().splitlines()[-1:]
    return f"The worker ended with exit code {ended.exit_code}." + (f" Its last words: {last[0][:300]}" if last else "")


def opaque(path: Path, limit: int) -> bytes | None:
    """Return a worker's file as bytes that the orchestrator never parses; None where it is odd or too large."""
    try:
        return read_bounded(path, limit=limit)
    except (MalformedError, OSError):
        return None
