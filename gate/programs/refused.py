"""The one error of the strict reader: what was refused, where in the archive, and what to log instead (`advice`)."""

from gate.formats.log_again import CALL as LOG
from gate.records.errors import UnexaminableError


class RefusedError(UnexaminableError):
    """An archive, or a graph in it, holds something that the strict reader does not read."""

    kind = "exported program"
    with_any_batch = False
    """Whether it holds for a fixed batch too, so that none is tried in place of a free one."""
    what_to_do = (
        f"Log the trained model again with {LOG}, and leave the file as it was written; a program that "
        "the gate cannot read cannot be approved."
    )

    def __init__(self, where: str, what: str, *, what_to_do: str = "") -> None:
        self.where = printable(where)
        self.what = printable(what)
        super().__init__(f"{self.kind} refused at {self.where}: {self.what}", what_to_do=what_to_do)


def printable(text: str, limit: int = 300) -> str:
    """Return hostile text in one bounded line of printable ASCII, fit for logs and reports."""
    shown = text if text.isascii() and text.isprintable() else ascii(text)
    return shown if len(shown) <= limit else f"{shown[:limit]}…"
