"""The published figures, as they are kept: what, where from, of which models, in which setting, and when it was read.

The first step of the flow. A line of `published.jsonl` is one figure; nothing of the gate's stands in it but the key of
what stands beside it, and in what the two differ.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from gate.records.record import Record

FILE = Path(__file__).with_name("published.jsonl")
Basis = Literal["paper", "abstract", "code", "summary"]
_BASES: dict[Basis, str] = {
    "paper": "paper read",
    "abstract": "abstract alone",
    "code": "code or README read",
    "summary": "by somebody's summary",
}


class Published(Record):
    """One published figure."""

    key: str = Field(pattern=r"^[a-z0-9-]+$")
    lane: str
    """What is examined: images, texts, adapters, language models, or cost."""
    what: str
    figure: str
    unit: str = ""
    source: str
    year: int | None = None
    """None where the source says none."""
    read_as: Basis
    read: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$")
    """The day."""
    models: str
    setting: str
    gate: str
    """Key of the gate's figure that stands beside it (`benchmarks.anchors.gathering`)."""
    differs: str = Field(min_length=20)
    """In what the two differ, so that nobody takes one for the other."""

    @field_validator("*")
    @classmethod
    def _in_a_cell(cls, value: object) -> object:
        """Refuse what would break a row of a Markdown table."""
        if isinstance(value, str) and (set(value) & set("|\n\r<>")):
            raise ValueError("a cell of a table holds no |, <, > and no line break")
        return value

    @property
    def origin(self) -> str:
        """Source, with the year unless it is said, and how and when it was read."""
        year = f", {self.year}" if self.year and str(self.year) not in self.source else ""
        return f"{self.source}{year} ({_BASES[self.read_as]}, {self.read})"


def read(path: Path = FILE) -> list[Published]:
    """Return the published figures in their written order."""
    return [Published.from_json(line.encode(), what=path.name) for line in path.read_text("utf-8").splitlines()]
