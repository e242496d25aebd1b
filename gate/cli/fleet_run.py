"""What `gate fleet run` does with its options: shares, the workers and their supervisor, and the page."""

import os
import re
import socket
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from gate.cli.option_values import registry_settings, scan_settings, signing
from gate.cli.terminal import tell
from gate.records.errors import CannotFinishError, UsageError

if TYPE_CHECKING:
    from gate.promotion.fleet.folder import FleetFolder
    from gate.promotion.fleet.task import FleetRun
    from gate.records.fleet import FleetPlan, FleetStatus, FleetTask
    from gate.registries.contract import RegistrySettings

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LEAST_MEMORY = 1.0
_TOLD = 5
"""Versions of a task that are told by name while it runs; all stand in the report."""


def shares(workers: int, memory: float, threads: int) -> dict[str, Any]:
    """Return a worker's share of memory and cores."""
    if memory / workers < _LEAST_MEMORY:
        raise UsageError(
            f"--memory {memory:g} is {memory / workers:.2f} GiB for each of {workers} workers; expected at least "
            f"{_LEAST_MEMORY:g}",
            what_to_do=f"Give more memory, or at most {max(1, int(memory / _LEAST_MEMORY))} workers.",
        )
    cores = len(os.sched_getaffinity(0))
    return {"memory_gib": memory / workers, "threads": threads or max(1, cores // workers)}


def address_of(settings: "RegistrySettings") -> str:
    """Return the address of the registry that holds the versions."""
    return settings.registry_uri or settings.tracking_uri or ""


def fleet_run(folder: "FleetFolder", planned: "FleetPlan", options: dict[str, Any], *, opens: bool) -> "FleetRun":
    """Return what works on the plan; rules that are not the plan's are a `UsageError`, before the registry is asked."""
    from gate.promotion.fleet.ruling import read_again, require_registry
    from gate.promotion.fleet.task import FleetRun
    from gate.promotion.verification import now
    from gate.registries import open_production, require_known

    marks, signs = options.pop("mark"), signing(options)
    attempts, retry = options.pop("attempts"), options.pop("retry")
    settings = registry_settings(options)
    require_known("models:/any/1", settings)
    if marks:
        require_registry(planned, address_of(settings))
    given = {"seed": None, "device": None, "deadline_seconds": None, "allow_code": False, "arithmetic": "auto"}
    rules, scan, base = read_again(planned.rules, scan_settings({**given, "isolation": None, **options}))
    registry: Any = open_production(settings) if opens else None
    return FleetRun(
        registry=registry,
        folder=folder,
        plan=planned,
        rules=rules,
        settings=scan,
        base=base,
        most_attempts=attempts,
        marks=marks,
        signing=signs if marks else None,
        retry_before=now() if retry else None,
        tell=tell,
    )


def worked(made: "FleetRun", tasks: "tuple[FleetTask, ...]") -> int:
    """Work in this process, which ends when its supervisor does."""
    from gate.promotion.fleet.local import end_with_supervisor, work

    end_with_supervisor()
    work(made, tasks)
    return 0


def supervised(made: "FleetRun", tasks: "tuple[FleetTask, ...]", workers: int, seconds: float | None) -> int:
    """Start workers, and return the exit code of what they came to."""
    from gate.promotion.fleet.local import Supervisor, command_of_worker, temporary_folder
    from gate.promotion.verification import now

    show = showing(made.folder, made.plan)
    undone = sum(made.ended(task, now()) is None for task in tasks)
    with temporary_folder(made.folder) as temporary:
        late = Supervisor(
            folder=made.folder,
            command=command_of_worker(sys.argv[1:]),
            workers=min(workers, max(1, undone)),
            most_restarts=workers + made.most_attempts * len(tasks),
            until=time.monotonic() + seconds if seconds else None,
            publish=show,
            tell=tell,
            variables={"TMPDIR": str(temporary)},
        ).run()
    return _ended(made, tasks, late=late)


def queued(
    made: "FleetRun", tasks: "tuple[FleetTask, ...]", workers: int, seconds: float | None, executor: str | None
) -> int:
    """Take part in a fleet of several hosts, and return the exit code of what it came to."""
    import tempfile

    from gate.promotion.fleet.local import temporary_folder

    try:
        from gate.service.fleets import FleetQueue
    except ModuleNotFoundError as error:
        raise UsageError(
            f"--queue needs the package {error.name!r}, which is not installed",
            what_to_do="Install the extra: pip install 'model-promotion-gate[service]'.",
        ) from None
    queue = FleetQueue(
        run=made,
        tasks=tasks,
        database=os.environ.get("GATE_DATABASE_URL", ""),
        executor=f"{executor or socket.gethostname()}-fleet",
        workers=workers,
        until=time.monotonic() + seconds if seconds else None,
        publish=showing(made.folder, made.plan),
    )
    with temporary_folder(made.folder) as temporary:
        tempfile.tempdir = str(temporary)
        late = queue.work()
    return _ended(made, tasks, late=late)


def showing(folder: "FleetFolder", planned: "FleetPlan") -> Callable[[], None]:
    """Write the page as it is now, and return what writes it anew and tells what has ended since.

    A page that cannot be written ends no run: it is told once.
    """
    from gate.promotion.fleet.seen import Seen
    from gate.promotion.fleet.status import status_of

    shown: set[str] = set()
    told: list[Exception] = []
    seen = Seen(folder)

    def show(*, quiet: bool = False) -> None:
        try:
            publish(folder, status_of(folder, planned, seen=seen), shown, quiet=quiet)
        except (CannotFinishError, OSError) as error:
            if not told:
                told.append(error)
                tell(f"the fleet goes on without its page: {error}")

    show(quiet=True)
    return show


def _ended(made: "FleetRun", tasks: "tuple[FleetTask, ...]", *, late: bool) -> int:
    """Print what a run came to; a part of the plan counts by itself."""
    from gate.cli.fleet_lines import status_lines
    from gate.promotion.fleet.status import exit_code, status_of
    from gate.promotion.fleet.task import undone

    if late:
        tell("the time is over; what was measured is kept, and the same command goes on")
    status = status_of(made.folder, made.plan)
    for line in status_lines(status, made.folder.root):
        click.echo(line)
    click.echo(f"report   {made.folder.root / 'report.html'}")
    code = exit_code(status, None if len(tasks) == len(made.plan.tasks) else {task.key for task in tasks})
    # What an earlier run only looked at has a verdict, and is not done where marks were asked for.
    return 3 if undone(made, tasks) else code


def publish(folder: "FleetFolder", status: "FleetStatus", shown: set[str], *, quiet: bool = False) -> None:
    """Write page and status, and tell what has ended since."""
    from gate.check.files import CheckFiles
    from gate.promotion.fleet.folder import PAGE, STATUS
    from gate.renderers.fleet import headline, render
    from gate.renderers.text import duration

    folder.write(STATUS, status)
    CheckFiles(folder.root).write(PAGE, render(status))
    ended = [row for row in status.rows if row.ended and row.key not in shown]
    shown |= {row.key for row in ended}
    if quiet or not ended:
        return
    for row in ended:
        if row.state != "approved":
            tell(f"{row.state}: {row.versions[0]}{f': {row.reason}' if row.reason else ''}"[:300])
        for mark in row.unmarked[:_TOLD]:
            tell(f"not marked: {mark.version}: {mark.why}"[:300])
    left = f"; {duration(status.left_seconds)} of checks are left" if status.left_seconds else ""
    tell(f"{headline(status)}{left}")


def shard_given(text: str | None) -> tuple[int, int]:
    """Return the number of a part and how many there are."""
    if not text:
        return 0, 1
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text.strip())
    if match is None or not int(match[1]) < int(match[2]):
        raise UsageError(f"--shard is {text[:40]!r}; expected I/N with I from 0 to N - 1, such as 0/8")
    return int(match[1]), int(match[2])


def seconds_given(text: str | None) -> float | None:
    """Return a time such as `90m` in seconds; None where none is set."""
    if not text:
        return None
    match = re.fullmatch(r"([0-9]{1,6})([smhd])", text.strip())
    if match is None or not int(match[1]):
        raise UsageError(f"--time-limit is {text[:40]!r}; expected such as 90m, 8h or 2d")
    return float(int(match[1]) * _UNITS[match[2]])
