"""What the gate itself does at this moment (downloads, uploads, looks), told to whoever shows it.

Ground floor. A command sets a watcher for its own thread of work; what is below tells it what begins and how far it is,
and where there is none (the service, a caller of the library) nobody hears it. What a worker says of its own progress
comes another way (gate.check.workers).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

Tell = Callable[[str], None]
"""Takes a line for whoever runs the command."""
Moved = Callable[[int], None]
"""Takes the bytes that have come or gone so far."""


class Watcher(Protocol):
    """Who shows what is done; no method raises."""

    def expect(self, steps: Sequence[str]) -> None:
        """Hear which steps a scan will take, in their order; none where it is over."""

    def begin(self, what: str) -> None:
        """Hear that something begins, in plain words."""

    def moved(self, size: int) -> None:
        """Hear how many bytes of it have come or gone so far; may be called by another thread."""

    def end(self, *, well: bool) -> None:
        """Hear that it has ended, and whether it came to its end."""


_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)
_busy: ContextVar[bool] = ContextVar("busy", default=False)


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Let a watcher hear what is done meanwhile."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def expect(steps: Sequence[str]) -> None:
    """Say which steps a scan will take; none when it is over."""
    if (watcher := _watcher.get()) is not None:
        watcher.expect(steps)


@contextmanager
def doing(what: str) -> Iterator[Moved]:
    """Say that something is done, and yield what takes its bytes so far; what is done within it is a part of it."""
    watcher = _watcher.get()
    if watcher is None or _busy.get():
        yield _unheard
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


def _unheard(_size: int) -> None:
    """Take bytes that nobody asked for."""
