"""Durable execution: every delivery and every check is a workflow of `dbos`, which continues it after a crash.

One engine per process, because dbos is global to it. A workflow id makes a job that is delivered ten times one job.
Steps return plain JSON and raise nothing: an error is data, so that a replay decides as the first run did.
"""

import datetime as dt
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, EnqueueOptions, error

from gate.check.repeatable import STEPS, StepResult, outcome_of, result_of
from gate.records.errors import UsageError
from gate.records.logins import remember
from gate.service import metrics
from gate.service.depth import Depth, Piece
from gate.service.jobs import Checks, Job
from gate.service.logs import log
from gate.service.settings import Settings

APPLICATION_VERSION = "gate-service-1"
"""Version of the workflows' steps, which an upgraded gate must share to continue what an older one began."""

ARRIVALS, CHECKING, RESCANS = "arrivals", "checks", "rescans"
RESCAN = "rescan"
_EXECUTIONS = 10
"""Crashes of the process during one check before the check is given up."""

OnAlias = Callable[[str], str]
OnSchedule = Callable[[], str]
JobData = dict[str, Any]
"""A `Job` as plain JSON."""


def attempted(run: Callable[[], Any]) -> StepResult:
    """Return a call's result as data, and log what was no error of the gate's own kinds."""
    return result_of(run, lambda why: log("a step failed", level=logging.ERROR, why=why))


@dataclass(frozen=True)
class _Steps:
    """Steps of workflows: each call's result is kept, and a workflow that is continued gets that result."""

    attempt: Callable[[str, JobData], StepResult]
    identify: Callable[[str, str], StepResult]
    give_up: Callable[[JobData, bool], StepResult]
    guard: Callable[[str], StepResult]
    rescan: Callable[[], StepResult]
    clock: Callable[[], float]


def _steps(checks: Checks, on_alias: OnAlias, rescan: OnSchedule) -> _Steps:
    return _Steps(
        attempt=DBOS.step(name="attempt")(
            lambda step, raw: attempted(lambda: checks.run(step, Job.model_validate(raw)))
        ),
        identify=DBOS.step(name="identify")(
            lambda name, version: attempted(lambda: checks.identify(name, version).model_dump(mode="json"))
        ),
        give_up=DBOS.step(name="give-up")(
            lambda raw, flag: attempted(lambda: checks.give_up(Job.model_validate(raw), flag=flag))
        ),
        guard=DBOS.step(name="guard")(lambda name: attempted(lambda: on_alias(name))),
        rescan=DBOS.step(name="rescan")(lambda: attempted(rescan)),
        clock=DBOS.step(name="clock")(_seconds),
    )


def _seconds() -> float:
    return time.time()  # dbos takes no built-in function


def configure(database: str, executor: str, version: str) -> None:
    """Configure dbos, which is global to the process: where it keeps what was queued, and under which name it works.

    `version` is that of the workflows' steps, which another process must share to continue what this one began.
    """
    remember(database)
    config: DBOSConfig = {
        "name": "model-promotion-gate",
        "system_database_url": database,
        "application_version": version,
        "executor_id": executor,
        "serializer": DBOSPortableJSONSerializer(),
        # At INFO dbos advertises a hosted console.
        "log_level": "WARNING",
        "enable_otlp": False,
    }
    logging.getLogger("dbos").setLevel(logging.WARNING)
    DBOS(config=config)


def take_over(executor: str) -> None:
    """Queue again what another executor, known to be dead, has begun."""
    DBOS._recover_pending_workflows([executor])  # noqa: SLF001  # the one call for it; pinned by version and test


def executors() -> set[str]:
    """Return the executors of unfinished workflows."""
    found = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
    return {str(one.executor_id) for one in found if one.executor_id}


class Engine:
    """Registers the workflows with dbos when it is made; starts, queues, and stops."""

    def __init__(self, settings: Settings, checks: Checks, on_alias: OnAlias, rescan: OnSchedule) -> None:
        self._settings = settings
        own = settings.executor
        configure(settings.database, own, APPLICATION_VERSION)
        self._steps = _steps(checks, on_alias, rescan)
        self._register()
        self.executor = own
        self.depth = Depth((ARRIVALS, CHECKING, RESCANS), self.unfinished)
        """How much waits and runs, for the metrics."""

    def _persist(self, step: str, run: Callable[[], StepResult], begun: float) -> StepResult:
        """Repeat a step until it works, the patience for the registry ends, or the gate has failed too often."""
        work, own, pause = self._settings.file.work, 0, 1.0
        while True:
            result = run()
            if result["kind"] == "done":
                return result
            own += result["kind"] == "failed"
            late = result["kind"] == "registry" and self._steps.clock() - begun > work.patience_seconds
            if result["kind"] in {"gone", "changed"} or own >= work.attempts or late:
                metrics.FAILURES.labels(step, result["kind"]).inc()
                return result
            metrics.RETRIES.labels(result["kind"]).inc()
            DBOS.sleep(pause)
            pause = min(2 * pause, work.longest_pause_seconds)

    def _register(self) -> None:
        """Register the workflows with dbos under names that outlive the process."""
        steps, persist = self._steps, self._persist

        @DBOS.workflow(name="arrive", max_recovery_attempts=_EXECUTIONS)
        def arrive(name: str, version: str, number: int) -> str:
            result = persist("identify", lambda: steps.identify(name, version), steps.clock())
            if result["kind"] != "done":
                log("not identified", model=name, version=version, why=result["value"], kind=result["kind"])
                return str(result["kind"])
            job = Job.model_validate({**result["value"], "round": number})
            enqueue("check", CHECKING, job.workflow_id, job.model_dump(mode="json"), known="return-existing")
            return job.workflow_id

        @DBOS.workflow(name="check", max_recovery_attempts=_EXECUTIONS)
        def check(raw: JobData) -> str:
            return self._check(raw)

        @DBOS.workflow(name="guard", max_recovery_attempts=_EXECUTIONS)
        def guarded(name: str) -> str:
            return str(persist("guard", lambda: steps.guard(name), steps.clock())["kind"])

        @DBOS.workflow(name="rescan", max_recovery_attempts=_EXECUTIONS)
        def rescan(scheduled: dt.datetime, _context: Any) -> None:
            result = persist(RESCAN, steps.rescan, steps.clock())
            log("scanned again", scheduled=str(scheduled), outcome=result["kind"], why=result["value"])

        self._workflows, self._rescan = (arrive, check, guarded), rescan

    def _check(self, raw: JobData) -> str:
        """Run the four steps of one check as far as they go, and return its outcome."""
        steps, job = self._steps, Job.model_validate(raw)
        begun = steps.clock()
        log("check begins", model=job.name, version=job.version, digest=job.digest)
        result: StepResult = {}
        for step in STEPS:
            result = self._persist(step, lambda step=step: steps.attempt(step, raw), begun)  # type: ignore[misc]
            if result["kind"] != "done":
                break
        outcome = outcome_of(result)
        if outcome in {"unfinished", "failed"}:
            flag = outcome == "failed" and not result.get("unmarked", False)
            self._persist("give-up", lambda: steps.give_up(raw, flag), steps.clock())
        metrics.CHECKS.labels(outcome).inc()
        metrics.CHECK_SECONDS.observe(max(0.0, steps.clock() - begun))
        log("check ends", model=job.name, version=job.version, outcome=outcome, why=result["value"])
        return outcome

    def start(self) -> None:
        """Create or migrate the tables, continue what this executor left, and begin to work."""
        DBOS.launch()
        DBOS.register_queue(ARRIVALS, worker_concurrency=2, polling_interval_sec=0.2)
        DBOS.register_queue(CHECKING, worker_concurrency=self._settings.file.work.concurrency, polling_interval_sec=0.2)
        DBOS.register_queue(RESCANS, global_concurrency=1, polling_interval_sec=1.0)
        self._schedule(self._settings.file.watch.rescan)

    def _schedule(self, line: str) -> None:
        """Replace the schedule in the database by the configured cron line, or delete it."""
        if not line:
            DBOS.delete_schedule(RESCAN)
            return
        try:
            # One at a time on all hosts: one that fires meanwhile waits, and then finds nothing due.
            DBOS.apply_schedules(
                [{"schedule_name": RESCAN, "workflow_fn": self._rescan, "schedule": line, "queue_name": RESCANS}]
            )
        except error.DBOSException as wrong:
            raise UsageError(
                f"the schedule {line!r} cannot be used: {wrong}", what_to_do="`rescan` under [watch] is a cron line."
            ) from None

    def stop(self, seconds: int) -> None:
        """Give running steps so many seconds; the others begin again at the next start."""
        DBOS.destroy(workflow_completion_timeout_sec=seconds)

    def arrived(self, workflow_id: str, name: str, version: str, number: int = 0) -> bool:
        """Queue a version durably; return False where this id was queued before."""
        return enqueue("arrive", ARRIVALS, workflow_id, name, version, number)

    def alias_moved(self, workflow_id: str, name: str) -> bool:
        """Queue a look at a model's protected aliases; return False where this id was queued before."""
        return enqueue("guard", ARRIVALS, workflow_id, name)

    def outcome(self, workflow_id: str) -> tuple[str, str] | None:
        """Return status and result of a workflow, None where there is none."""
        found = DBOS.get_workflow_status(workflow_id)
        return None if found is None else (found.status, str(found.output))

    def unfinished(self, most: int) -> list[Piece]:
        """Return the workflows that are queued or running, the oldest first, of all hosts on this database."""
        found = DBOS.list_workflows(status=["PENDING", "ENQUEUED"], limit=most, load_input=False, load_output=False)
        return [
            Piece(
                one.queue_name or "", "queued" if one.status == "ENQUEUED" else "running", (one.created_at or 0) / 1e3
            )
            for one in found
        ]

    def poisoned(self) -> list[Job]:
        """Return the checks that took the whole process down too often."""
        found = DBOS.list_workflows(status="MAX_RECOVERY_ATTEMPTS_EXCEEDED", name="check", load_output=False)
        return [Job.model_validate(one.input["args"][0]) for one in found if one.input]


def enqueue(
    workflow: str,
    queue: str,
    workflow_id: str,
    *arguments: Any,
    known: Literal["reject", "return-existing"] = "reject",
    version: str = APPLICATION_VERSION,
) -> bool:
    """Queue a workflow under an id; return False where a known id is rejected, with any outcome of it."""
    options: EnqueueOptions = {
        "workflow_name": workflow,
        "queue_name": queue,
        "workflow_id": workflow_id,
        "app_version": version,
        "workflow_id_reuse_policy": known,
    }
    try:
        DBOS.enqueue_workflow_with_options(options, *arguments)
    except error.DBOSWorkflowIDInUseError:
        return False
    return True
