"""From an interruption to an error that says what is kept and how to go on."""

from collections.abc import Iterator
from contextlib import contextmanager

from gate.jail.interruption import begin_to_end, number
from gate.records.errors import StoppedError


def stopped(message: str, what_to_do: str = "") -> StoppedError:
    """Return the error of an interruption that was just caught; what cleans up now is not interrupted by it again."""
    begin_to_end()
    return StoppedError(message, number=number(), what_to_do=what_to_do)


@contextmanager
def explained(message: str, what_to_do: str = "") -> Iterator[None]:
    """Turn an interruption of what is within into an error with a sentence."""
    try:
        yield
    except KeyboardInterrupt:
        raise stopped(message, what_to_do) from None
