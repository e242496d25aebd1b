"""Ctrl-C, a polite kill and a closed terminal: the same exception, which cannot get lost.

A signal's handler runs between two steps of whatever Python is doing. Where that is a finalizer or the callback of a
weak reference, an exception from it is printed and dropped, and the command would go on to its verdict. So the handler
also notes that it was called, and what waits for long (`gate.jail.listening`) asks for the note.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from gate.records.errors import StoppedError

_ASKED = False
_NUMBER = signal.SIGINT.value


def stop_on_termination() -> None:
    """Make Ctrl-C, a polite kill and a closed terminal end a command alike: worker ended, files kept.

    Ctrl-C too is set here: a shell that starts the gate in the background has it ignored. Who starts it by `nohup`
    wants it to outlive the terminal.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _interrupt)


def raise_if_asked() -> None:
    """Raise `KeyboardInterrupt` where a signal came whose own exception was dropped."""
    if _ASKED:
        raise KeyboardInterrupt


def stopped(message: str, what_to_do: str = "") -> StoppedError:
    """Return the error of an interruption that was just caught; what cleans up now is not interrupted by it again.

    It carries the number of the signal that came last: a shell's exit code of the command is 128 and that.
    """
    global _ASKED  # noqa: PLW0603  # a process has one set of signal handlers, and this is what they set
    _ASKED = False
    return StoppedError(message, number=_NUMBER, what_to_do=what_to_do)


@contextmanager
def explained(message: str, what_to_do: str = "") -> Iterator[None]:
    """Turn an interruption of what is within into an error that says what is kept and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise stopped(message, what_to_do) from None


def _interrupt(came: int, _frame: FrameType | None) -> None:
    global _ASKED, _NUMBER
    _ASKED, _NUMBER = True, came
    raise KeyboardInterrupt
