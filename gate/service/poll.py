"""The poll, which finds what no webhook told: deliveries can be lost, and stages send none.

Every interval it queues versions without a decision under today's policy, puts back the marks of finished checks that
somebody removed, looks at protected places, flags checks that crashed the process too often, and on PostgreSQL takes
over the work of dead processes.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Sequence

from gate.attestations.keys import PublicKey
from gate.records.artifact import ModelRef
from gate.records.errors import GateError
from gate.registries.contract import ProductionRegistry
from gate.service import metrics
from gate.service.alerts import Alerts
from gate.service.engine import Engine, executors, take_over
from gate.service.guard import Guard
from gate.service.jobs import Checks
from gate.service.logs import log
from gate.service.marks import Marks
from gate.service.presence import Presence
from gate.service.settings import ModelSection, Settings

_DECIDED = frozenset({"approved", "flagged"})
_FINAL = _DECIDED | {"failed"}
_ROUNDS = 1000


class Poll:
    """A thread that polls until it is stopped."""

    def __init__(
        self,
        settings: Settings,
        registry: ProductionRegistry,
        checks: Checks,
        engine: Engine,
        guard: Guard,
        keys: Sequence[PublicKey],
        *,
        alerts: Alerts | None = None,
    ) -> None:
        self._settings, self._registry, self._checks, self._engine = settings, registry, checks, engine
        self._guard = guard
        self._marks = Marks(settings, registry, keys, alerts or Alerts(settings.file.watch.alert_url))
        self._presence = Presence(settings.database, str(engine.executor)) if settings.several_hosts else None
        self._flagged: set[str] = set()
        self._skipped: set[str] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gate-poll", daemon=True)
        self.last = 0.0
        """Time at which a poll last ended well, in seconds since the epoch."""

    def announce(self) -> None:
        """Announce this process before it begins work that another could take for a dead one's."""
        if self._presence is not None:
            self._presence.announce()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the current poll."""
        self._ended.set()
        self._thread.join(timeout=10)
        if self._presence is not None:
            self._presence.leave()

    def _run(self) -> None:
        while not self._ended.wait(0 if self.last == 0.0 else self._settings.file.watch.poll_seconds):
            try:
                self.look()
            except GateError as error:
                metrics.POLL_FAILURES.inc()
                log("the registry could not be looked through", level=logging.WARNING, why=str(error))
            except Exception as error:  # noqa: BLE001  # the next look may succeed; the thread must live
                metrics.POLL_FAILURES.inc()
                log("a poll failed", level=logging.ERROR, why=f"{type(error).__name__}: {error}")
            if self.last == 0.0 and self._ended.wait(min(5.0, self._settings.file.watch.poll_seconds)):
                return

    def look(self) -> None:
        """Poll once."""
        self._take_over()
        self._flag_poisoned()
        self._engine.depth.refresh()
        failed: GateError | None = None
        for section in self._settings.file.models:
            try:
                self._look(section)
            except GateError as error:
                failed = error  # one model that cannot be read must not hide the others
        if failed is not None:
            raise failed
        self.last = time.time()
        metrics.POLLED.set(self.last)

    def _look(self, section: ModelSection) -> None:
        try:
            self._queue_undecided(section)
        finally:  # a policy that cannot be used for checks must not end the guard
            if section.production is not None:
                self._guard.look(section.production)

    def _queue_undecided(self, section: ModelSection) -> None:
        policy = self._checks.rules(section.name).policy.digest
        for ref, facts in self._registry.find_versions(section.name, {}):
            said = self._marks.standing(ref, facts.tags, policy)
            if said is None:
                self._queue(ref, policy)
            elif not self._marks.shown(facts.tags, said):
                self._marks.put_back(ref, said.model_digest, policy)

    def _queue(self, ref: ModelRef, policy: str) -> None:
        """Queue a version that has no decision, unless it is under way or one of its rounds has ended.

        A round that ended with a decision left a mark, which is put back.
        """
        for number in range(_ROUNDS):
            workflow_id = f"seen/{ref.name}/{ref.version}/{policy}/{number}"
            found = self._engine.outcome(workflow_id)
            if found is None:
                if self._engine.arrived(workflow_id, ref.name, ref.version or "", number):
                    log("found without a decision", model=ref.name, version=ref.version)
                return
            status, check_id = found
            if status != "SUCCESS":
                return  # under way, or given up
            check = self._engine.outcome(check_id) if check_id.startswith("check/") else None
            if check is None:
                if check_id in {"gone", "failed"}:
                    self._skip(ref, workflow_id, check_id)
                    return
            elif check[0] != "SUCCESS":
                return
            elif check[1] in _FINAL:
                self._skip(ref, check_id, check[1])
                if check[1] in _DECIDED:
                    self._marks.put_back(ref, _digest(check_id, ref), policy)
                return

    def _skip(self, ref: ModelRef, workflow_id: str, outcome: str) -> None:
        """Log once that no poll begins a check of a version anew, although it has no decision."""
        if workflow_id not in self._skipped:
            self._skipped.add(workflow_id)
            log("not checked anew: a round of it has ended", model=str(ref), round=workflow_id, outcome=outcome)

    def _flag_poisoned(self) -> None:
        for job in self._engine.poisoned():
            if job.workflow_id not in self._flagged:
                with contextlib.suppress(GateError):
                    self._checks.give_up(job)
                    self._flagged.add(job.workflow_id)
                    metrics.CHECKS.labels("poisoned").inc()
                    log("a check took the gate down too often", level=logging.ERROR, model=str(job.ref))

    def _take_over(self) -> None:
        """Begin again the work of dead processes, which the database's locks reveal."""
        if self._presence is None:
            return
        for executor in executors() - {str(self._engine.executor)}:
            if self._presence.dead(executor):
                log("taking over", level=logging.WARNING, executor=executor)
                take_over(executor)


def _digest(check_id: str, ref: ModelRef) -> str:
    """Return the digest of the bytes that a check was about; see `Job.workflow_id`."""
    return check_id.removeprefix(f"check/{ref.name}/{ref.version}/").partition("/")[0]
