"""Ctrl-C and a polite kill: the same exception, which cannot get lost.

A signal's handler runs between two steps of whatever Python is doing. Where that is a finalizer or the callback of a
weak reference, an exception from it is printed and dropped, and the command would go on to its verdict. So the handler
also notes that it was called, and what waits for long (`gate.jail.listening`) asks for the note.
"""

import signal
from types import FrameType

_ASKED = False


def stop_on_termination() -> None:
    """Make Ctrl-C and a polite kill end a command alike: the worker ended, files kept, nothing half done.

    Ctrl-C too is set here: a shell that starts the gate in the background has it ignored.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)


def raise_if_asked() -> None:
    """Raise `KeyboardInterrupt` where a signal came whose own exception was dropped."""
    if _ASKED:
        raise KeyboardInterrupt


def begin_to_end() -> None:
    """Forget the signal: called by what caught the interruption, so that cleaning up is not interrupted by it too."""
    global _ASKED  # noqa: PLW0603  # a process has one set of signal handlers, and this is what they set
    _ASKED = False


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    global _ASKED  # noqa: PLW0603
    _ASKED = True
    raise KeyboardInterrupt
