"""One line that stands at a terminal's bottom and is redrawn in its place; whatever else is printed comes above it.

Written by hand, because every printing of the command line has to take the line away first: two writers that know
nothing of each other leave pieces of it behind. Nothing here raises; a terminal that has gone ends no check.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_REFRESH_SECONDS = 0.25
_WIDTH = 80
"""Columns of a terminal that does not say how many it has."""
_TAKE_AWAY = "\r\x1b[2K"

_lines: list["StandingLine"] = []
"""The one that stands now, last; commands run in one thread."""


def is_terminal() -> bool:
    """Tell whether standard error can redraw a line; FORCE_COLOR, which CI systems set, makes no terminal of a log."""
    return sys.stderr.isatty() and os.environ.get("TERM", "") not in {"", "dumb"}


@contextmanager
def above() -> Iterator[None]:
    """Take the standing line away while something is printed, if there is one."""
    if not _lines:
        yield
        return
    with _lines[-1].away():
        yield


class StandingLine:
    """The line; `text` is given the columns that there are and returns what stands now, shorter than that."""

    def __init__(self, text: Callable[[int], str]) -> None:
        self._text = text
        self._lock = threading.RLock()
        self._stop = threading.Event()

    @contextmanager
    def standing(self) -> Iterator[None]:
        """Redraw the line until the block ends, and leave nothing of it."""
        thread = threading.Thread(target=self._redraw, name="gate-line", daemon=True)
        _lines.append(self)
        thread.start()
        try:
            yield
        finally:
            _lines.remove(self)
            self._stop.set()
            thread.join()
            self._write(_TAKE_AWAY)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Take the line away, and draw it again afterwards."""
        with self._lock:
            self._write(_TAKE_AWAY)
            try:
                yield
            finally:
                self._draw()

    def _redraw(self) -> None:
        while True:
            with self._lock:
                self._draw()
            if self._stop.wait(_REFRESH_SECONDS):
                return

    def _draw(self) -> None:
        self._write(_TAKE_AWAY + self._text(_columns()))

    @staticmethod
    def _write(text: str) -> None:
        # One sign a column: what the terminal's encoding lacks would otherwise become an escape of six.
        encoding = sys.stderr.encoding or "ascii"
        with suppress(OSError, ValueError):
            sys.stderr.write(text.encode(encoding, "replace").decode(encoding))
            sys.stderr.flush()


def _columns() -> int:
    with suppress(OSError, ValueError):
        return os.get_terminal_size(sys.stderr.fileno()).columns or _WIDTH
    return _WIDTH
