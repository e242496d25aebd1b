"""The bundle in the report: its origin, how it differs from the candidate, what it leaves out.

A rewritten program equals the candidate's bit for bit; one that was exported from layers is compared on samples alone;
of one that a candidate's own code left, nothing shows that it answers as that code does.
"""

from dataclasses import dataclass
from typing import Final

from gate.records.bundle import BundleFacts, Origin
from gate.records.finding import Finding
from gate.records.report import Report
from gate.renderers.text import number

MAX_LEFT: Final = 40
"""Most files of the candidate that are listed as left out; report.json holds more."""
MAX_ODDITIES: Final = 20
"""Most oddities that are listed; report.json holds them all."""

_ORIGINS: Final[dict[Origin, str]] = {
    "pt2": "the candidate's exported program",
    "pickle": "the candidate's pickled layers, which torch exported",
    "onnx": "the candidate's ONNX graph, whose operators the gate mapped to torch's",
    "state-dict": "the candidate's tensors in an architecture that earlier releases carried, which torch exported",
    "converted": "the program that the candidate's own code left when it was converted",
    "composed": "the network that transformers' own classes compose from the pipeline's configuration and weights",
    "repaired": "the program that a repair made",
    "adapter": "the candidate's tensors, configuration and tokenizer",
}
UNSHOWN: Final = (
    "The candidate's own code made the program that was converted. Nobody can show that the bundle answers as that "
    "code does elsewhere, or did before."
)


@dataclass(frozen=True)
class Bundled:
    """The facts about a bundle that a report shows."""

    origin: str
    parent: str
    difference: str
    candidate_torch: str
    """Version that the candidate claims; empty where it claims none."""
    pins: tuple[str, ...]
    signature_dropped: str
    losses: tuple[str, ...]
    left: tuple[str, ...]
    more_left: int


def bundled(report: Report) -> Bundled | None:
    """Return a report's facts about the bundle; None where there is none."""
    facts = report.evidence.bundle if report.evidence else None
    if facts is None:
        return None
    return Bundled(
        origin=_ORIGINS[facts.origin],
        parent=facts.parent,
        difference=difference(facts),
        candidate_torch=facts.candidate_torch,
        pins=tuple(f"{name} {version}" for name, version in sorted(facts.pinned.items())),
        signature_dropped=facts.signature_dropped.rstrip("."),
        losses=facts.losses,
        left=facts.left[:MAX_LEFT],
        more_left=max(0, len(facts.left) - MAX_LEFT),
    )


def difference(facts: BundleFacts) -> str:
    """Return how the bundle's program differs from its source."""
    if facts.origin == "adapter":
        return "the same tensors as the candidate's, bit for bit"
    if facts.origin in ("pt2", "converted", "composed", "repaired"):
        whose = "candidate's" if facts.origin == "pt2" else f"{facts.origin} program's"
        return f"the same operators and constants as the {whose}, bit for bit"
    if facts.greatest_difference == 0:
        return "the same logits as the candidate's on the clean samples, bit for bit"
    return (
        f"logits within {number(facts.greatest_difference)} of the candidate's on the clean samples, as a share of "
        "the largest"
    )


def oddities(report: Report) -> tuple[tuple[Finding, ...], int]:
    """Return the oddities that do not flag, and how many more there are."""
    found = report.verdict.told if report.verdict else ()
    return found[:MAX_ODDITIES], max(0, len(found) - MAX_ODDITIES)
