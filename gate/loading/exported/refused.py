"""The one error of the strict reader: what was refused, and where in the archive it stands."""

from gate.errors import UnexaminableError


class RefusedError(UnexaminableError):
    """An archive, or a graph in it, holds something that the strict reader does not read."""

    what_to_do = (
        "Export the model again with torch.export in eval mode (model.eval()) from standard layers; "
        "a graph that the gate cannot read cannot be approved."
    )

    def __init__(self, where: str, what: str) -> None:
        self.where = _printable(where)
        self.what = _printable(what)
        super().__init__(f"exported program refused at {self.where}: {self.what}")


def _printable(text: str, limit: int = 300) -> str:
    """Return hostile text in one bounded line of printable ASCII, fit for logs and reports."""
    shown = text if text.isascii() and text.isprintable() else ascii(text)
    return shown if len(shown) <= limit else f"{shown[:limit]}…"
