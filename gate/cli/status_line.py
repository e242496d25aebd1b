"""One line at a terminal's bottom, redrawn in its place below other output; a closed terminal is no error."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress

_REFRESH_SECONDS = 0.25
_WIDTH = 80
"""Columns of a terminal that does not tell its width."""
_CLEAR = "\r\x1b[2K"

_lines: list["StatusLine"] = []
"""Lines on the screen, the visible one last; commands run in one thread."""


def is_terminal() -> bool:
    """Tell whether standard error can redraw a line; FORCE_COLOR, which CI systems set, makes no terminal of a log."""
    return sys.stderr.isatty() and os.environ.get("TERM", "") not in {"", "dumb"}


@contextmanager
def above() -> Iterator[None]:
    """Remove the status line, if there is one, while something is printed."""
    with _lines[-1].removed() if _lines else nullcontext():
        yield


class StatusLine:
    """The line; `text` takes the terminal's columns and returns the current text, which is shorter."""

    def __init__(self, text: Callable[[int], str]) -> None:
        self._text = text
        self._lock = threading.RLock()
        self._stop = threading.Event()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Redraw the line until the block ends, then remove it."""
        thread = threading.Thread(target=self._redraw, name="gate-line", daemon=True)
        _lines.append(self)
        thread.start()
        try:
            yield
        finally:
            _lines.remove(self)
            self._stop.set()
            thread.join()
            self._write(_CLEAR)

    @contextmanager
    def removed(self) -> Iterator[None]:
        """Remove the line during the block, and draw it again afterwards."""
        with self._lock:
            self._write(_CLEAR)
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
        columns = _WIDTH
        with suppress(OSError, ValueError):
            columns = os.get_terminal_size(sys.stderr.fileno()).columns or _WIDTH
        self._write(_CLEAR + self._text(columns))

    @staticmethod
    def _write(text: str) -> None:
        # One character a column: one that the encoding lacks would otherwise become an escape of six.
        encoding = sys.stderr.encoding or "ascii"
        with suppress(OSError, ValueError):
            sys.stderr.write(text.encode(encoding, "replace").decode(encoding))
            sys.stderr.flush()
