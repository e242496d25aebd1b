"""What the gate itself is doing (downloads, uploads, inspections), reported to whoever shows it.

A command sets a watcher for its own thread. Without one (the service, a caller of the library) nobody hears anything.
A worker reports its progress another way (gate.check.workers).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

EXPECTED_STEP = "expected"
"""Step of a worker's progress by which it reports the seconds that its detectors still take: at least `done`, at most
`total`."""
Tell = Callable[[str], None]
"""Takes a line for the person who runs the command."""
Moved = Callable[[int], None]
"""Takes the number of bytes moved so far."""


class Watcher(Protocol):
    """Shows what is being done; no method raises."""

    def expect(self, steps: Sequence[str]) -> None:
        """Take the steps of a scan in their order; none when it is over."""

    def begin(self, what: str) -> None:
        """Take what begins, in plain words."""

    def moved(self, size: int) -> None:
        """Take the number of bytes moved so far; another thread may call this."""

    def end(self, *, well: bool) -> None:
        """Take that it has ended, and whether it succeeded."""


_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)
_busy: ContextVar[bool] = ContextVar("busy", default=False)


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Report to a watcher inside this context."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def expect(steps: Sequence[str]) -> None:
    """Report the steps of a scan; none when it is over."""
    if (watcher := _watcher.get()) is not None:
        watcher.expect(steps)


@contextmanager
def doing(what: str) -> Iterator[Moved]:
    """Report that something is being done, and yield what takes its bytes so far; nested activities count as part."""
    watcher = _watcher.get()
    if watcher is None or _busy.get():
        yield lambda _size: None
        return
    token = _busy.set(True)
    watcher.begin(what)
    well = False
    try:
        yield watcher.moved
        well = True
    finally:
        _busy.reset(token)
        watcher.end(well=well)
