"""Workers of a fleet on this machine: each goes through the plan and does what nobody else does.

A worker is a process of its own, so that a model that takes one down takes down no other, and its memory is returned.
The supervisor starts them, starts those that are killed again, writes the page, and ends them when the time is over.
"""

import os
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gate.check.files import CheckFiles, remove
from gate.check.locks import folder_lock
from gate.jail import kernel
from gate.jail.launch import worker_command
from gate.promotion.fleet.folder import LOG, FleetFolder
from gate.promotion.fleet.task import FleetRun, work_on
from gate.promotion.verification import now
from gate.records.errors import CannotFinishError, UsageError
from gate.records.fleet import FleetTask

_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 10.0
"""Seconds between two looks at tasks that others hold, or that the registry kept from being done."""
_GRACE: Final = 60.0
"""Seconds that workers have to end after they were asked to."""
_PUBLISH_EVERY: Final = 10.0
_TEMPORARY: Final = "tmp"
_SUPERVISOR: Final = "GATE_FLEET_SUPERVISOR"
"""Variable by which a worker knows the process that started it."""


def shard_of(tasks: Sequence[FleetTask], shard: tuple[int, int]) -> tuple[FleetTask, ...]:
    """Return the tasks of one of several shards, dealt out one after the other, so that the long ones are spread."""
    index, count = shard
    return tuple(tasks[index::count])


def work(run: FleetRun, tasks: Sequence[FleetTask], pause: Callable[[float], None] = time.sleep) -> None:
    """Go through the tasks until each has ended, or was tried often enough here; wait for what others hold."""
    left = [task for task in tasks if run.ended(task, now()) is None]
    tries: Counter[str] = Counter()
    idle = _PAUSE
    while left:
        came = {task.key: work_on(run, task) for task in left}
        tries.update(key for key, how in came.items() if how == "later")
        moved = "final" in came.values()
        left = [task for task in left if came[task.key] != "final" and tries[task.key] <= run.most_attempts]
        idle = _PAUSE if moved else min(2 * idle, _LONGEST_PAUSE)
        if left:
            pause(idle)


def end_with_supervisor() -> None:
    """Let the kernel ask this process to end when its supervisor does, however that ended."""
    if not kernel.end_with(int(os.environ.get(_SUPERVISOR, "0")), signal.SIGTERM):
        raise CannotFinishError("the supervisor of the fleet's workers has ended")


@contextmanager
def temporary_folder(folder: FleetFolder) -> Iterator[Path]:
    """Yield a folder for a worker's private copies, locked while it lives; those of dead workers are removed."""
    root = folder.root / _TEMPORARY
    root.mkdir(exist_ok=True)
    root.chmod(0o711)
    CheckFiles(folder.root).remove_parts()
    for old in root.iterdir():
        _sweep(old)
    with _own_folder(root) as own:
        try:
            own.chmod(0o711)
            yield own
        finally:
            remove(own)


@contextmanager
def _own_folder(root: Path) -> Iterator[Path]:
    """Yield a new folder that is locked; one that another run swept before that is made again."""
    with ExitStack() as stack:
        while True:
            own = Path(tempfile.mkdtemp(dir=root, prefix="worker-"))
            with suppress(FileNotFoundError):
                lock = stack.enter_context(folder_lock(own))
                if lock != "theirs" and own.exists():
                    break
                stack.close()
        yield own


def _sweep(old: Path) -> None:
    """Remove a worker's folder, if the worker is dead; what cannot be locked is left."""
    with suppress(OSError), folder_lock(old) as lock:
        if lock == "ours":
            remove(old)


@dataclass
class Supervisor:
    """The workers of one run on this machine."""

    folder: FleetFolder
    command: Sequence[str]
    """Command of a worker, to which its number is added."""
    workers: int
    most_restarts: int
    until: float | None
    """Time by the monotonic clock at which workers are asked to end; None for no end."""
    publish: Callable[[], None]
    """Called now and then, and at the end: writes the page and tells what is new."""
    tell: Callable[[str], None]
    variables: Mapping[str, str] = field(default_factory=dict)
    _running: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    _restarts: int = 0
    _published: float = 0.0
    _refused: str = ""

    def run(self) -> bool:
        """Run until every worker has ended; return whether the time was over before."""
        late = False
        with (self.folder.root / LOG).open("ab") as log:
            try:
                for number in range(self.workers):
                    self._start(number, log.fileno())
                while self._running:
                    time.sleep(0.2)
                    self._reap(log.fileno())
                    self._tick()
                    if self.until is not None and time.monotonic() >= self.until and self._running:
                        late = True
                        break
            finally:
                self._end()
                self.publish()
        if self._refused:
            raise UsageError(self._refused, what_to_do=f"{self.folder.root / LOG} says what is wrong.")
        return late

    def _start(self, number: int, log: int) -> None:
        self._running[number] = subprocess.Popen(  # noqa: S603  # the gate's own command, with the user's arguments
            [*self.command, str(number)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **self.variables, _SUPERVISOR: str(os.getpid())},
        )

    def _reap(self, log: int) -> None:
        for number, process in list(self._running.items()):
            code = process.poll()
            if code is None:
                continue
            del self._running[number]
            if code == 2:
                self._refused = "a worker refused its arguments, policy, keys or samples"
            elif code < 0 and self._restarts < self.most_restarts and not self._refused:
                self._restarts += 1
                self.tell(f"worker {number} was killed by {_signal(-code)}, and is started again")
                self._start(number, log)
            elif code != 0:
                self.tell(f"worker {number} ended with {code}; {self.folder.root / LOG} says why")

    def _tick(self) -> None:
        if time.monotonic() - self._published >= _PUBLISH_EVERY:
            self._published = time.monotonic()
            self.publish()

    def _end(self) -> None:
        """Ask all workers to end, and kill those that do not."""
        for process in self._running.values():
            process.send_signal(signal.SIGTERM)
        until = time.monotonic() + _GRACE
        for process in self._running.values():
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()


def _signal(number: int) -> str:
    with suppress(ValueError):
        return signal.Signals(number).name
    return str(number)


def command_of_worker(arguments: Sequence[str]) -> list[str]:
    """Return the command that runs this command's arguments again as a worker, whatever the working directory holds."""
    return [*worker_command("gate"), *arguments, "--as-worker"]
