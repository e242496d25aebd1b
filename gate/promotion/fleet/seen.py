"""What a page that is drawn again and again knows of a fleet's files: each is parsed once, until another replaces it.

Files are replaced whole by a rename, so that a new one is another file or has another time. Only what is shown rests on
this; a worker that asks whether a task has ended reads the file.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Generic, TypeVar

from gate.promotion.fleet.folder import FleetFolder
from gate.records.fleet import Attempts, FleetResult
from gate.records.record import MalformedError, Record

RecordT = TypeVar("RecordT", bound=Record)
_State = tuple[int, int, int, int]
_MISSING: Final = (0, 0, 0, 0)


class _Files(Generic[RecordT]):
    """Records of one kind by the path of their file; None for one that is missing or damaged."""

    def __init__(self, kind: type[RecordT]) -> None:
        self._kind = kind
        self._known: dict[Path, tuple[_State, RecordT | None]] = {}

    def read(self, path: Path) -> RecordT | None:
        """Return a file's record, parsed only where it is another file than it was."""
        state = _state(path)
        known = self._known.get(path)
        if known is None or known[0] != state:
            # The state is older than what is read: where both differ, the next look reads again.
            known = self._known[path] = (state, self._parsed(path) if state != _MISSING else None)
        return known[1]

    def forget_others(self, paths: set[Path]) -> None:
        """Drop what is known of files that are not there any more."""
        for gone in self._known.keys() - paths:
            del self._known[gone]

    def _parsed(self, path: Path) -> RecordT | None:
        with suppress(MalformedError, OSError):
            return self._kind.from_file(path)
        return None


def _state(path: Path) -> _State:
    try:
        found = path.lstat()
    except OSError:
        return _MISSING
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


class Seen:
    """A fleet's results and attempts, as they were last read."""

    def __init__(self, folder: FleetFolder) -> None:
        self._folder = folder
        self._results, self._attempts = _Files(FleetResult), _Files(Attempts)

    def results(self) -> Iterator[FleetResult]:
        """Yield every result in the folder, of this plan or an earlier one."""
        paths = self._folder.result_files()
        self._results.forget_others(set(paths))
        found = (self._results.read(path) for path in paths)
        yield from (result for result in found if result is not None)

    def attempts(self, key: str) -> Attempts:
        """Return the attempts at a task; none where the file is damaged."""
        return self._attempts.read(self._folder.attempts_file(key)) or Attempts()
