"""A fleet's folder: the plan, and a folder for each task, which whoever works on it has locked.

The lock is the kernel's, on the task's own folder: it ends with the process that holds it, however that ends. So there
is no lease to expire, and nothing to clean up after `kill -9`. An attempt is written down before it begins.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gate.check.files import CheckFiles, HeldError, read_input, remove
from gate.check.locks import folder_lock
from gate.records.errors import UsageError
from gate.records.fleet import Attempts, FleetPlan, FleetResult, FleetTask
from gate.records.record import MalformedError, Record

PLAN: Final = "plan.json"
STATUS: Final = "status.json"
PAGE: Final = "report.html"
LOG: Final = "run.log"
_TASKS, _RESULT, _ATTEMPTS = "tasks", "result.json", "attempts.json"


@dataclass(frozen=True)
class FleetFolder:
    """One fleet's folder."""

    root: Path

    def plan(self) -> FleetPlan:
        """Read the plan; a missing or damaged one is a `UsageError`."""
        return read_input(self.root / PLAN, FleetPlan, "gate fleet plan")

    def write(self, name: str, record: Record) -> Path:
        """Replace one of the fleet's own files atomically."""
        return CheckFiles(self.root).write(name, record.pretty_json())

    def place(self, key: str) -> Path:
        """Return a task's folder."""
        return self.root / _TASKS / key[:32]

    def result(self, key: str) -> FleetResult | None:
        """Return how a task ended; None where it has not, or what stands there is another's or damaged."""
        with suppress(MalformedError, OSError):
            found = FleetResult.from_file(self.place(key) / _RESULT)
            return found if found.key == key else None
        return None

    def result_files(self) -> list[Path]:
        """Return the files of every result in the folder, of this plan or an earlier one."""
        return sorted((self.root / _TASKS).glob(f"*/{_RESULT}"))

    def attempts_file(self, key: str) -> Path:
        """Return the file of a task's attempts, whether there are any or not."""
        return self.place(key) / _ATTEMPTS

    def keep(self, result: FleetResult) -> None:
        """Write a task's result, once its files are whole."""
        CheckFiles(self.place(result.key)).write(_RESULT, result.pretty_json())

    def attempts(self, key: str) -> Attempts:
        """Return the attempts at a task; none where the file is damaged."""
        with suppress(MalformedError, OSError):
            return Attempts.from_file(self.attempts_file(key))
        return Attempts()

    def note(self, key: str, attempts: Attempts) -> None:
        """Write a task's attempts."""
        CheckFiles(self.place(key)).write(_ATTEMPTS, attempts.pretty_json())

    @contextmanager
    def claimed(self, task: FleetTask) -> Iterator[bool]:
        """Hold a task against all other workers while the block runs; yield False where another holds it."""
        with ExitStack() as stack:
            try:
                stack.enter_context(CheckFiles.claim(self.place(task.key)))
            except HeldError:
                yield False
                return
            yield True

    def held(self, key: str) -> bool:
        """Tell whether a worker holds a task now."""
        with suppress(OSError), folder_lock(self.place(key).resolve(), shared=True) as lock:
            return lock == "theirs"
        return False

    def clear(self, key: str, *, but_result: bool = False) -> None:
        """Remove everything of a task but its folder, which its holder has locked, and the result where it counts."""
        for path in self.place(key).iterdir():
            if not (but_result and path.name == _RESULT):
                remove(path)


def open_fleet(root: Path) -> tuple[FleetFolder, FleetPlan]:
    """Return a fleet's folder and its plan."""
    if not root.is_dir():
        raise UsageError(f"there is no folder {root}", what_to_do=f"`gate fleet plan {root}` makes it.")
    folder = FleetFolder(root.resolve())
    return folder, folder.plan()
