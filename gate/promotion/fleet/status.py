"""What is known of a fleet now: every task of the plan with its state, read from the folder while others work in it."""

import datetime as dt
from collections import Counter
from collections.abc import Collection, Sequence

from gate.check.files import REPORT
from gate.promotion.fleet.cost import Known, known_of, predict
from gate.promotion.fleet.folder import FleetFolder
from gate.promotion.fleet.seen import Seen
from gate.promotion.verification import now
from gate.records.fleet import STATES, FleetPlan, FleetResult, FleetRow, FleetStatus, FleetTask, Predicted

_PAGE = "report.html"


def status_of(
    folder: FleetFolder, plan: FleetPlan, at: dt.datetime | None = None, seen: Seen | None = None
) -> FleetStatus:
    """Return the status of a plan's tasks; results of other plans count for predictions alone.

    Whoever asks again and again keeps `seen`, and reads only what has changed.
    """
    at, seen = at or now(), seen or Seen(folder)
    found = {result.key: result for result in seen.results()}
    known = known_of(found.values(), plan.rules.policy_digest)
    rows = [_row(folder, seen, plan, task, found.get(task.key), at) for task in plan.tasks]
    # What was measured before the plan is no test of its expectations, which rest on it.
    finished = [row for row in rows if row.measured_since(plan.made_at) and not found[row.key].resumed]
    versions = sum(len(task.versions) for task in plan.tasks)
    return FleetStatus(
        at=at,
        made_at=plan.made_at,
        registry=plan.registry,
        chosen=plan.chosen,
        rules=plan.rules,
        counts=dict(Counter(row.state for row in rows)),
        versions=versions + len(plan.unread),
        same_bytes=versions - len(plan.tasks),
        measured_seconds=sum(row.seconds or 0.0 for row in finished),
        predicted_seconds=sum(row.predicted.seconds for row in finished),
        left_seconds=sum(
            _anew(task, known, plan).seconds for task, row in zip(plan.tasks, rows, strict=True) if not row.ended
        ),
        rows=tuple(sorted(rows, key=_order)),
        unread=plan.unread,
    )


def _order(row: FleetRow) -> tuple[int, str]:
    """Order what people look at first, which a version without its mark is too."""
    place = STATES.index(row.state)
    return min(place, 1) if row.unmarked else place, row.versions[0]


def _anew(task: FleetTask, known: Sequence[Known], plan: FleetPlan) -> Predicted:
    """Return what a task is expected to take by what is known now."""
    return predict({ref.name for ref in task.refs}, task.size_bytes, known, plan.rules.examines)


def _row(
    folder: FleetFolder, seen: Seen, plan: FleetPlan, task: FleetTask, result: FleetResult | None, at: dt.datetime
) -> FleetRow:
    row = FleetRow(
        key=task.key,
        digest=task.digest,
        versions=task.versions,
        places=task.places,
        state="waiting",
        predicted=task.predicted,
    )
    if result is None or plan.expired(result, at):
        attempts = seen.attempts(task.key).made
        last = attempts[-1] if attempts else None
        if last is None:
            return row
        running = not last.ended and folder.held(task.key)
        began = {"began_at": last.began_at, "host": last.host}
        told = {"state": "running", **began} if running else {"why": last.why}
        return row.model_copy(update={"attempts": len(attempts), **told})
    page = folder.place(task.key) / _PAGE
    return row.model_copy(
        update={
            "state": result.outcome,
            "seconds": result.seconds if result.judged else None,
            "passes": result.passes,
            "attempts": result.attempts,
            "findings": result.findings,
            "more_findings": result.more_findings,
            "why": result.why,
            "decided_at": result.decided_at,
            "marked": tuple(mark for mark in result.marked if mark.version in task.versions),
            "report": page.relative_to(folder.root).as_posix() if (page.parent / REPORT).exists() else "",
        }
    )


def exit_code(status: FleetStatus, keys: Collection[str] | None = None) -> int:
    """Return 3 where a task has no verdict or a version could not be read, else 1 where one is flagged, else 0.

    `keys` are the tasks that count, of all; versions that could not be read then do not. A fleet of nothing is 3.
    """
    rows = [row for row in status.rows if keys is None or row.key in keys]
    if keys is None and not rows:
        return 3
    if any(row.state not in {"approved", "flagged"} for row in rows) or (keys is None and status.unread):
        return 3
    # A reviewer's rejection keeps a version flagged, and a mark that was not made is no decision.
    unmarked = any(row.unmarked for row in rows)
    flagged = any(row.state == "flagged" for row in rows) or any(
        mark.decision == "flagged" for row in rows for mark in row.marked
    )
    return 3 if unmarked else 1 if flagged else 0
