"""MITRE ATLAS: which techniques of an adversary a detector's findings speak of, by what the detector looks at.

Names and numbers are those of ATLAS: https://atlas.mitre.org. AML.T0018 was called "Backdoor ML Model" until 2025.
"""

from dataclasses import dataclass

from gate.records.report import Coverage

HOME = "https://atlas.mitre.org/"


@dataclass(frozen=True)
class Technique:
    """One technique."""

    id: str
    name: str
    means: str

    @property
    def page(self) -> str:
        """The technique's address."""
        return f"{HOME}techniques/{self.id}"


POISONING = Technique(
    "AML.T0020", "Poison Training Data", "Training data or their labels are changed so that the model learns a trigger."
)
MANIPULATION = Technique(
    "AML.T0018",
    "Manipulate AI Model",
    "The model itself is changed: its weights, its architecture, or code in its files.",
)
TECHNIQUES = (POISONING, MANIPULATION)


def techniques(coverage: Coverage | None) -> tuple[Technique, ...]:
    """Return the techniques behind a detector's findings; a trigger in behaviour can come of either."""
    match coverage.looks_at if coverage else None:
        case "bytes" | "graph":
            return (MANIPULATION,)
        case "training":
            return (POISONING,)
        case _:
            return TECHNIQUES
