"""One task of a fleet: claimed, begun on record, checked in steps that can be repeated, and ended once.

Whatever ends the process, the next one finds what was done: an attempt that nobody ended was killed, files that are
whole are not made again, and a decision that was signed is signed no second time. A task that fails in itself, or takes
its process down, too often is recorded as failed, which is no approval.
"""

import datetime as dt
import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from gate.check.base_model import AskedBase
from gate.check.bundle.compose import FOLDER as BUNDLE_FOLDER
from gate.check.evidence import ScanSettings
from gate.check.files import EVIDENCE, MANIFEST, CheckFiles, remove
from gate.check.publish import withdraw
from gate.check.repeatable import WORK, RepeatableCheck, StepResult, outcome_of, result_of
from gate.check.resume import FILE as UNFINISHED
from gate.check.rules import Rules
from gate.check.signing import Signing
from gate.promotion.fleet.folder import FleetFolder
from gate.promotion.fleet.marking import VERSIONS, Marking, commit_each, joined, lacks_bundle, scanned_version
from gate.promotion.fleet.plan import ALONE
from gate.promotion.verification import now
from gate.records.activity import Tell
from gate.records.artifact import ModelRef
from gate.records.errors import GateError
from gate.records.evidence import Evidence, Measured
from gate.records.fleet import Attempt, Attempts, FleetPlan, FleetResult, FleetTask, Marked
from gate.registries.contract import ProductionRegistry

_MOST_FINDINGS: Final = 5
_MOST_KEPT: Final = 100
"""Attempts that are kept on record."""
Ended = Literal["final", "held", "later"]


@dataclass(frozen=True)
class FleetRun:
    """What works on a plan, and how."""

    registry: ProductionRegistry
    folder: FleetFolder
    plan: FleetPlan
    rules: Rules
    settings: ScanSettings
    base: AskedBase | None = None
    most_attempts: int = 3
    """Attempts that fail or are killed before a task is recorded as failed."""
    marks: bool = False
    """Whether each version gets its decision as tags."""
    signing: Signing | None = field(default=None, repr=False)
    retry_before: dt.datetime | None = None
    """Time before which tasks that ended without a verdict are begun anew."""
    begun_at: dt.datetime = field(default_factory=now)
    """Time before which marks that failed are tried again."""
    tell: Tell = lambda _line: None

    def ended(self, task: FleetTask, at: dt.datetime) -> FleetResult | None:
        """Return how a task has ended; None where it is to be done, or done anew."""
        result = self.folder.result(task.key)
        return None if result is None or self.outdated(task, result, at) else result

    def outdated(self, task: FleetTask, result: FleetResult, at: dt.datetime) -> bool:
        """Tell whether a result no longer counts: it has no verdict and is retried, expired, or lacks a mark."""
        if not result.judged:
            return self.retry_before is not None and result.decided_at < self.retry_before
        return self.plan.expired(result, at) or bool(self.unmarked(task, result))

    def unmarked(self, task: FleetTask, result: FleetResult | None) -> tuple[ModelRef, ...]:
        """Return the versions that are still to be marked; none in a run without marks."""
        marked = result.marked if result is not None else ()
        stands = {mark.version for mark in marked if mark.stands(self.plan.made_at, self.begun_at)}
        return tuple(ref for ref in task.refs if str(ref) not in stands) if self.marks else ()


def undone(run: FleetRun, tasks: Sequence[FleetTask]) -> tuple[FleetTask, ...]:
    """Return the tasks that have not ended as the run was asked to end them."""
    return tuple(task for task in tasks if run.ended(task, now()) is None)


def work_on(run: FleetRun, task: FleetTask) -> Ended:
    """Do a task, unless another worker holds it; `later` where it is to be tried again."""
    with run.folder.claimed(task) as mine:
        if not mine:
            return "held"
        if run.ended(task, now()) is not None:
            return "final"
        earlier = _accounted(run, task)
        spent = [one for one in earlier.made if one.counts]
        if len(spent) >= run.most_attempts:
            _give_up(run, task, spent[-1].why, len(earlier.made))
            return "final"
        return _attempt(run, task, earlier, last=len(spent) + 1 >= run.most_attempts)


def _accounted(run: FleetRun, task: FleetTask) -> Attempts:
    """Return the attempts so far, the last of which was killed if nobody ended it; none where it is done anew."""
    files, old = CheckFiles(run.folder.place(task.key)), run.folder.result(task.key)
    made = run.folder.attempts(task.key).made
    counts = old is not None and old.judged and not run.plan.expired(old, now())
    # One that is only to be marked still has its files, or a scan that is made again for it was begun.
    lost = lacks_bundle(files) and (not made or made[-1].ended == "done")
    if (old is not None and (not counts or lost)) or _of_another_plan(files, task):
        run.folder.clear(task.key, but_result=counts)  # marks that were made stay, and are not made again
        return Attempts()
    if made and not made[-1].ended:
        dead = made[-1].model_copy(update={"ended": "killed", "why": "its process ended without a word"})
        made = (*made[:-1], dead)
        run.folder.note(task.key, Attempts(made=made))
    return Attempts(made=made)


def _of_another_plan(files: CheckFiles, task: FleetTask) -> bool:
    """Tell whether a check without a verdict was begun of a version that this plan does not hold."""
    scanned = scanned_version(files)
    return scanned is not None and scanned not in task.refs and files.concluded() is None


def _attempt(run: FleetRun, task: FleetTask, earlier: Attempts, *, last: bool) -> Ended:
    number = len(earlier.made) + 1
    attempt = Attempt(number=number, began_at=now(), host=socket.gethostname()[:255], process=os.getpid())
    kept = earlier.made[1 - _MOST_KEPT :]

    def note(ended: Literal["done", "failed", "registry", "stopped"] | None = None, why: str = "") -> None:
        changed = attempt.model_copy(update={"ended": ended, "why": why[:2000]}) if ended else attempt
        run.folder.note(task.key, Attempts(made=(*kept, changed)))

    place = run.folder.place(task.key)
    resumed = any((place / name).exists() for name in (MANIFEST, EVIDENCE, UNFINISHED))
    try:
        note()
        done = _check(run, task, number, resumed=resumed)
    except KeyboardInterrupt:
        note("stopped", "the run was stopped")
        raise
    if isinstance(done, FleetResult):
        note("done")
        _finish(run, task, done)
        return "final"
    kind: Literal["failed", "registry"] = "registry" if outcome_of(done) == "unfinished" else "failed"
    note(kind, done["value"])
    if kind == "registry" or (not last and not done.get("unmarked")):
        return "later"
    _give_up(run, task, done["value"], number, withdraws=not done.get("unmarked"))
    return "final"


def _check(run: FleetRun, task: FleetTask, number: int, *, resumed: bool) -> FleetResult | StepResult:
    """Return how a task ended, or the failure after which it may be tried again."""
    check, began = repeatable(run, task), time.monotonic()
    judged = result_of(check.judge, run.tell)
    seconds = time.monotonic() - began
    if judged["kind"] in {"gone", "changed"}:
        return _without_verdict(run, task, judged["kind"], judged["value"], number)
    if judged["kind"] != "done":
        return judged
    old, files = run.folder.result(task.key), CheckFiles(check.root)
    done = _judged(run, task, files, number).model_copy(update={"seconds": seconds, "resumed": resumed})
    if not run.marks:
        return done
    marking = Marking(run.registry, task.digest, run.rules, files, run.signing, run.tell)
    published = result_of(lambda: marking.each(run.unmarked(task, old)), run.tell)
    if published["kind"] != "done":
        return published
    return _marked(task, done, old, published["value"])


def _marked(task: FleetTask, done: FleetResult, old: FleetResult | None, made: Sequence[Marked]) -> FleetResult:
    """Return a result with the marks that were made, beside those of an earlier result, which ends when that does."""
    if old is None:
        return done.model_copy(update={"marked": joined(task, (), made)})
    changes: dict[str, object] = {"marked": joined(task, old.marked, made)}
    if old.marked:
        changes["decided_at"] = min(old.decided_at, done.decided_at)
    if old.evidence_digest == done.evidence_digest:
        changes |= {"seconds": old.seconds, "resumed": old.resumed}
    return done.model_copy(update=changes)


def repeatable(run: FleetRun, task: FleetTask) -> RepeatableCheck:
    """Return the check of one version, in the task's folder: the one that was begun, else one that is to be marked."""
    scanned = scanned_version(CheckFiles(run.folder.place(task.key)))
    left = run.unmarked(task, run.folder.result(task.key))
    ref = scanned if scanned in task.refs else (left or task.refs)[0]
    signs = run.signing if run.marks else None
    return RepeatableCheck(
        registry=run.registry,
        ref=ref,
        digest=task.digest,
        root=run.folder.place(task.key),
        rules=lambda: run.rules,
        asked=lambda rules: rules.pull_of(str(ref), ALONE, run.base),
        settings=run.settings,
        marks=run.marks,
        signing=run.signing,
        before_scan=lambda files, rules: commit_each(files, left, rules, run.settings, signs),
        samples_sha256=task.samples_digest or "",
    )


def _judged(run: FleetRun, task: FleetTask, files: CheckFiles, number: int) -> FleetResult:
    verdict, evidence = files.verdict(), files.evidence()
    findings = verdict.open_findings
    return FleetResult(
        key=task.key,
        digest=task.digest,
        version=str(evidence.model),
        policy_digest=run.plan.rules.policy_digest,
        outcome=verdict.decision.value,
        decided_at=dt.datetime.fromisoformat(files.report().checked_at),
        size_bytes=task.size_bytes,
        passes=passes_of(evidence),
        findings=tuple(f"{one.rule}: {one.message}"[:2000] for one in findings[:_MOST_FINDINGS]),
        more_findings=max(0, len(findings) - _MOST_FINDINGS),
        evidence_digest=evidence.digest,
        attempts=number,
    )


def passes_of(evidence: Evidence) -> int:
    """Return how many samples the detectors sent through the model."""
    return sum(one.sample_passes for one in evidence.outcomes.values() if isinstance(one, Measured))


def _without_verdict(
    run: FleetRun, task: FleetTask, outcome: str, why: str, attempts: int, marked: tuple[Marked, ...] = ()
) -> FleetResult:
    return FleetResult.model_validate(
        {
            "key": task.key,
            "digest": task.digest,
            "version": task.versions[0],
            "policy_digest": run.plan.rules.policy_digest,
            "outcome": outcome,
            "decided_at": now(),
            "size_bytes": task.size_bytes,
            "why": why[:2000],
            "attempts": attempts,
            "marked": marked,
        }
    )


def _give_up(run: FleetRun, task: FleetTask, why: str, attempts: int, *, withdraws: bool = True) -> None:
    """Record a task as failed, and mark its versions flagged where marks are made."""
    marked = _withdrawn(run, task, why) if withdraws else ()
    _finish(run, task, _without_verdict(run, task, "failed", why, attempts, marked))


def failed_task(run: FleetRun, task: FleetTask, why: str, attempts: int) -> None:
    """Record a task as failed for a reason that lies outside of its attempts, unless it has a verdict or was ended."""
    with run.folder.claimed(task) as mine:
        if not mine or run.ended(task, now()) is not None:
            return
        if (old := run.folder.result(task.key)) is not None and old.judged and not run.plan.expired(old, now()):
            run.tell(f"{task.versions[0]} keeps its verdict, and was not marked: {why}")
            return
        _give_up(run, task, why, attempts)


def _withdrawn(run: FleetRun, task: FleetTask, why: str) -> tuple[Marked, ...]:
    """Flag the versions of a task without a verdict, but those with a signed decision on these bytes."""
    if not run.marks:
        return ()
    marked = []
    for ref in task.refs:
        try:
            withdraw(run.registry, ref, why, run.tell, task.digest)
            marked.append(Marked(version=str(ref), why="no verdict: flagged, unless a signed decision stands"))
        except GateError as error:
            marked.append(Marked(version=str(ref), why=f"not marked: {error}"[:2000]))
    return tuple(marked)


def _finish(run: FleetRun, task: FleetTask, result: FleetResult) -> None:
    """Keep the result, and remove what is large and no longer needed; a crash between the two leaves only disk used."""
    run.folder.keep(result)
    place = run.folder.place(task.key)
    waits = result.judged and any(mark.decision is None and not mark.final for mark in result.marked)
    for name in (WORK, UNFINISHED) if waits else (WORK, UNFINISHED, BUNDLE_FOLDER):
        remove(place / name)  # a mark that is tried again needs the bundle
    for other in (place / VERSIONS).glob(f"*/{BUNDLE_FOLDER}"):
        remove(other)
