"""Export of a composed network: whatever goes wrong is one refusal, and no file is left of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gate.records.errors import GateError, UnexaminableError


@contextmanager
def exporting(to: Path) -> Iterator[None]:
    """Turn faults of exporting a network to a file, and of comparing the program, into refusals."""
    try:
        yield
    except GateError as error:
        to.unlink(missing_ok=True)
        raise UnexaminableError(
            f"its network could not be exported as a program that the gate reads: {error}"
        ) from None
    except Exception as error:  # noqa: BLE001  # library and exporter may raise anything on what does not go together
        to.unlink(missing_ok=True)
        text = " ".join(str(error).split())[:300]
        raise UnexaminableError(f"torch could not export its network: {type(error).__name__}: {text}") from None
