"""Names of the classes beside their numbers: the policy's, else the samples', else the candidate's own claim.

A name is untrusted text: made plain and short here, escaped where it is written out.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gate.records.evidence import Location
from gate.records.report import Report
from gate.renderers.text import plain

MAX_SHOWN: Final = 40
"""Most characters of a name beside its number."""
_CLASS: Final = re.compile(r"(?<![\w→-])(class|pair) (\d{1,6})(?:→(\d{1,6}))?(?![\w→])")
"""A place in the gate's own sentences."""


@dataclass(frozen=True)
class Names:
    """Names by index, and their source."""

    known: Mapping[int, str] = field(default_factory=dict)
    source: str = ""
    """Source of the names, as a sentence; empty where no name is known."""

    @classmethod
    def of(cls, report: Report) -> "Names":
        """Return a report's names, of the most trusted source."""
        evidence, model = report.evidence, report.model
        stated = report.policy.samples.of(model.name if model else "").classes
        samples = evidence.samples.class_names if evidence and evidence.samples else {}
        candidate = evidence.bundle.class_names if evidence and evidence.bundle else {}
        for known, source in (
            (stated, "The names of the classes are the policy's."),
            (samples, "The names of the classes are those of the samples."),
            (candidate, "The names of the classes are the candidate's own claim, and may mislead."),
        ):
            if known:
                return cls(known, source)
        return cls()

    def name(self, index: int) -> str:
        """Return a class's name, short and plain; empty where it has none."""
        # A log takes '::' at the start of a line for a command, and a folded line may start anywhere.
        return plain(self.known.get(index, ""), MAX_SHOWN).replace("::", ": :")

    def label(self, index: int) -> str:
        """Return a class's number with its name, such as `7 (Sneaker)`."""
        name = self.name(index)
        return f"{index} ({name})" if name else str(index)

    def spoken(self, index: int) -> str:
        """Return a class as a sentence names it, such as `class 7, Sneaker`."""
        name = self.name(index)
        return f"class {index}, {name}" if name else f"class {index}"

    def place(self, location: Location | None) -> str:
        """Return a location with the names of its classes."""
        return self.within(str(location)) if location is not None else ""

    def within(self, text: str) -> str:
        """Return a sentence of the gate in which each class's number has its name beside it."""
        return _CLASS.sub(self._labelled, text) if self.known else text

    def _labelled(self, match: re.Match[str]) -> str:
        kind, first, second = match[1], int(match[2]), match[3]
        if second is None:
            return f"{kind} {self.label(first)}" if kind == "class" else match[0]
        return f"{kind} {self.label(first)}→{self.label(int(second))}"
