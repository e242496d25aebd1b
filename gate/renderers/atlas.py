"""MITRE ATLAS: which techniques of an adversary a detector's findings speak of.

Names and numbers are those of ATLAS: https://atlas.mitre.org. AML.T0018 was called "Backdoor ML Model" until 2025.
"""

from dataclasses import dataclass

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

_FILES_OR_GRAPH = (
    "artifact-integrity",
    "unsafe-pickle",
    "consumer-hazards",
    "unsafe-format",
    "modelaudit",
    "graph-structure",
)
_TRAINING_SET = ("spectral-signature", "training-set-clustering")


def techniques(subject: str) -> tuple[Technique, ...]:
    """Return the techniques behind a detector's findings; a trigger in behaviour can come of either."""
    if subject in _FILES_OR_GRAPH:
        return (MANIPULATION,)
    return (POISONING,) if subject in _TRAINING_SET else TECHNIQUES
