"""SIGINT, SIGTERM and SIGHUP raise the same exception, which cannot get lost.

Python may call a signal's handler inside a finalizer or the callback of a weak reference. There an exception is printed
and dropped, and the command would go on to its verdict. So the handler also sets a flag, which long waits
(`gate.jail.listening`) check.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from gate.records.errors import StoppedError

_ASKED = False
_NUMBER = signal.SIGINT.value


def stop_on_termination() -> None:
    """Make SIGINT, SIGTERM and SIGHUP end a command alike: worker ended, files kept.

    SIGINT is set too, since a shell that starts the gate in the background ignores it. SIGHUP stays ignored under
    `nohup`, where the command is to outlive the terminal.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _interrupt)


def raise_if_asked() -> None:
    """Raise `KeyboardInterrupt` if a signal came whose own exception was dropped."""
    if _ASKED:
        raise KeyboardInterrupt


def stopped(message: str, what_to_do: str = "") -> StoppedError:
    """Return the error for an interruption that was just caught, and clear the flag for what cleans up.

    It carries the number of the last signal: the command exits with 128 plus that.
    """
    global _ASKED  # noqa: PLW0603  # a process has one set of signal handlers, and this is what they set
    _ASKED = False
    return StoppedError(message, number=_NUMBER, what_to_do=what_to_do)


@contextmanager
def explained(message: str, what_to_do: str = "") -> Iterator[None]:
    """Turn an interruption of the block into an error that says what is kept and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise stopped(message, what_to_do) from None


def _interrupt(came: int, _frame: FrameType | None) -> None:
    global _ASKED, _NUMBER
    _ASKED, _NUMBER = True, came
    raise KeyboardInterrupt
