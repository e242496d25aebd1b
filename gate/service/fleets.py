"""A fleet on several hosts: the service's durable queue on PostgreSQL deals the plan's tasks out, one host each.

Every host has a copy of the plan and a folder of its own, and queues all tasks under their keys. A key that is known
keeps its outcome, whichever host reached it. A host that is lost leaves its lock, and others take its tasks over. What
a host measured lies on that host: another begins the task anew.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from dbos import DBOS

from gate.promotion.fleet.task import FleetRun, failed_task, work_on
from gate.promotion.verification import now
from gate.records.errors import UsageError
from gate.records.fleet import FleetResult, FleetTask
from gate.records.record import canonical_json
from gate.service.engine import configure, enqueue, executors, take_over
from gate.service.presence import Presence

_VERSION: Final = "gate-fleet-1"
"""Version of the workflow's steps; with the plan's digest, what hosts must share to do each other's tasks."""
_QUEUE, _WORKFLOW = "fleet", "fleet-task"
_EXECUTIONS: Final = 5
"""Hosts or processes that a task may take down before it is given up."""
_ROUNDS: Final = 1000
_TRIES: Final = 60
"""Tries of a task, at most a minute apart, while the registry is silent or the host cannot write."""
_GRACE: Final = 20
_LONGEST_PAUSE: Final = 60.0
_PUBLISH_EVERY: Final = 10.0
_BROKEN: Final = {
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": "it took its process down too often",
    "ERROR": "the queue ended it with an error",
    "CANCELLED": "it was cancelled in the queue",
}
"""States of a workflow that ended without a result, and what they mean."""


@dataclass
class FleetQueue:
    """One host's part in a fleet."""

    run: FleetRun
    tasks: Sequence[FleetTask]
    database: str = field(repr=False)
    executor: str
    workers: int
    until: float | None
    """Time by the monotonic clock after which no task begins here; None for no end."""
    publish: Callable[[], None]

    def __post_init__(self) -> None:
        if not self.database.startswith(("postgresql://", "postgresql+psycopg://")):
            raise UsageError(
                "--queue shares tasks through PostgreSQL, and GATE_DATABASE_URL names no such database",
                what_to_do="Set GATE_DATABASE_URL to postgresql://…, or leave --queue out on a single host.",
            )
        plan = self.run.plan.content_sha256[:16]
        self._version, self._prefix = f"{_VERSION}-{plan}", f"fleet/{plan}/{'mark' if self.run.marks else 'look'}"
        self._all = {task.key: task for task in self.run.plan.tasks}
        """Every task of the plan: another host may have queued what this one was not asked for."""
        self._waiting: dict[str, str] = {}
        """Ids of workflows by the key of the task, until its end is known here."""

    def work(self) -> bool:
        """Take part until every task has ended, here or elsewhere; return whether the time was over before."""
        configure(self.database, self.executor, self._version)
        self._register()
        presence = Presence(self.database, self.executor)
        presence.announce()
        try:
            DBOS.launch()
            DBOS.register_queue(_QUEUE, worker_concurrency=self.workers, polling_interval_sec=0.5)
            for task in self.tasks:
                self._queue(task)
            return self._wait(presence)
        finally:
            DBOS.destroy(workflow_completion_timeout_sec=_GRACE)
            presence.leave()
            self.publish()

    def _register(self) -> None:
        @DBOS.step(name="fleet-attempt")
        def step(key: str) -> dict[str, Any]:
            return self._attempt(key)

        @DBOS.workflow(name=_WORKFLOW, max_recovery_attempts=_EXECUTIONS)
        def fleet_task(key: str) -> dict[str, Any]:
            pause = 1.0
            for _ in range(_TRIES):
                told: dict[str, Any] = step(key)
                if told:
                    return told
                DBOS.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            return {}

        self._workflow = fleet_task

    def _attempt(self, key: str) -> dict[str, Any]:
        """Try a task here; return its result as plain JSON, nothing where it is to be tried again."""
        task = self._all[key]
        try:
            work_on(self.run, task)
            result = self.run.ended(task, now())
        except Exception as error:  # noqa: BLE001  # such as a full disk here: another try may find room, or another host
            self.run.tell(f"{task.versions[0]} could not be tried: {type(error).__name__}: {str(error)[:300]}")
            return {}
        return result.model_dump(mode="json") if result is not None else {}

    def _queue(self, task: FleetTask) -> None:
        """Queue a task, or find how it ended before, on any host; an end that no longer counts gets another round."""
        if self.run.ended(task, now()) is not None:
            return
        for number in range(_ROUNDS):
            workflow_id = f"{self._prefix}/{task.key}/{number}"
            found = DBOS.get_workflow_status(workflow_id)
            if found is None:
                enqueue(_WORKFLOW, _QUEUE, workflow_id, task.key, known="return-existing", version=self._version)
            elif self._passed(task, found.status, found.output):
                continue
            self._waiting[task.key] = workflow_id
            return

    def _passed(self, task: FleetTask, status: str, output: Any) -> bool:
        """Tell whether an earlier round has ended and does not count any more."""
        if status == "SUCCESS":
            return not self._take(task, output)
        return status in _BROKEN and self.run.retry_before is not None

    def _take(self, task: FleetTask, output: Any) -> bool:
        """Keep a result that a workflow came to; return whether it counts now."""
        if not output:
            return False
        result = FleetResult.from_json(canonical_json(output), what="a task's result")
        if result.key != task.key or self.run.outdated(task, result, now()):
            return False
        with self.run.folder.claimed(task) as mine:
            if mine and self.run.ended(task, now()) is None:
                self.run.folder.keep(result)
        return True

    def _wait(self, presence: Presence) -> bool:
        published = 0.0
        while self._waiting:
            for key, workflow_id in list(self._waiting.items()):
                self._look(self._all[key], workflow_id)
            for other in executors() - {self.executor}:
                if presence.dead(other):
                    self.run.tell(f"the host {other} is gone; its tasks are taken over")
                    take_over(other)
            if time.monotonic() - published >= _PUBLISH_EVERY:
                published = time.monotonic()
                self.publish()
            if self.until is not None and time.monotonic() >= self.until:
                return bool(self._waiting)
            time.sleep(1.0)
        return False

    def _look(self, task: FleetTask, workflow_id: str) -> None:
        found = DBOS.get_workflow_status(workflow_id)
        if found is None:
            return
        if found.status != "SUCCESS" and found.status not in _BROKEN:
            return
        self._waiting.pop(task.key, None)
        if found.status in _BROKEN:
            failed_task(self.run, task, _BROKEN[found.status], _EXECUTIONS)
        elif not found.output:
            failed_task(self.run, task, f"it could not be tried in {_TRIES} tries", _TRIES)
        elif not self._take(task, found.output):
            # Such as a mark that failed on another host before this one began: another round tries it again.
            self._queue(task)
