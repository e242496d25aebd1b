"""Texts and labels as they were stored, each with its line for errors, and the limits on how much is read."""

from dataclasses import dataclass
from typing import Final

from gate.records.errors import UnexaminableError

MAX_BYTES: Final = 256 << 20
"""Largest file."""
MAX_CHARACTERS: Final = 1 << 20
"""Longest text: beyond what any model takes, which is given the beginning alone."""
MAX_TEXTS: Final = 200_000
Label = int | str
"""A class number, or a class's name."""
ADVICE: Final = (
    'Save a line of JSON for each text, {"text": "…", "label": 0}, or a CSV file with the columns text and label, as '
    "UTF-8."
)


@dataclass(frozen=True)
class Row:
    """One text of a file."""

    line: int
    """Line on which it begins, from 1."""
    text: str
    label: Label | None
    """None where it has none."""


@dataclass(frozen=True)
class RawTexts:
    """The texts of one file, in their order."""

    rows: tuple[Row, ...]
    source: str

    @property
    def labelled(self) -> bool:
        """Whether they have labels; either all of them have, or none."""
        return self.rows[0].label is not None

    @property
    def named(self) -> bool:
        """Whether their labels are names of classes."""
        return isinstance(self.rows[0].label, str)

    def error(self, row: Row, what: str) -> UnexaminableError:
        """Return the error of one text."""
        return at_line(self.source, row.line, what)


def refused(source: str, what: str) -> UnexaminableError:
    """Return the error of a file, with the usual advice."""
    return UnexaminableError(f"the samples {source} {what}", what_to_do=ADVICE)


def at_line(source: str, line: int, what: str) -> UnexaminableError:
    """Return the error of one line of a file."""
    return UnexaminableError(f"{source}, line {line}: {what}")


def shown(value: object) -> str:
    """Return a value of the file for a message: short, and ASCII alone."""
    return f"{value!a:.60}"
