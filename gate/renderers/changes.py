"""What changed since the version that serves now: each number beside the largest between approved versions."""

from collections.abc import Callable
from dataclasses import dataclass

from gate.records.evidence import Measured, Measurement
from gate.records.previous import VersionEvidence
from gate.records.report import Report
from gate.renderers.names import Names
from gate.renderers.text import count, number, percent

DETECTOR = "version-change"
_TITLES = {
    "spectrum-distance": ("Largest move of a layer's spectrum, nats", number),
    "first-share": ("Most of a layer's change along one direction", percent),
    "head-change": ("Most of the last layer's change for one class", percent),
    "new-answers": ("Most samples that newly go to one class", percent),
    "disagreement": ("Samples with another answer", percent),
    "probe-gain": ("Most log-odds that fixed probes gained at one class, nats", number),
}


@dataclass(frozen=True)
class Row:
    """One number of the change."""

    title: str
    value: str
    where: str
    usual: str
    """The largest between approved versions; a dash where there were none to compare."""


@dataclass(frozen=True)
class Changed:
    """The candidate beside the version that serves now."""

    against: str
    """The version's name, and the ground on which it is called approved."""
    rows: tuple[Row, ...]
    history: str
    """Which changes the last column is taken of."""
    unlike: str
    """Why the layers were not compared; empty where they were."""


def changed(report: Report) -> Changed | None:
    """Return what changed; None where no version was compared."""
    evidence = report.evidence
    outcome = evidence.outcomes.get(DETECTOR) if evidence else None
    serving = evidence.previous.serving if evidence and evidence.previous else None
    if serving is None or not isinstance(outcome, Measured):
        return None
    greatest: dict[str, Measurement] = {}
    for one in sorted(outcome.measurements, key=lambda measurement: measurement.value):
        greatest[one.metric] = one
    rows = (_row(metric, *_TITLES[metric], greatest, Names.of(report)) for metric in _TITLES if metric in greatest)
    unlike = next((gap.reason for gap in outcome.unmeasured if gap.metric == "spectrum-distance"), "")
    return Changed(f"{serving.uri} ({ground(serving)})", tuple(rows), _history(greatest), unlike)


def _row(metric: str, title: str, shown: Callable[[float], str], greatest: dict[str, Measurement], names: Names) -> Row:
    found, usual = greatest[metric], greatest.get(f"earlier-{metric}")
    where = ": ".join(filter(None, (names.place(found.location), found.note))) if found.value else ""
    return Row(title, shown(found.value), where, shown(usual.value) if usual else "–")


def _history(greatest: dict[str, Measurement]) -> str:
    changes = round(greatest["earlier-changes"].value) if "earlier-changes" in greatest else 0
    if not changes:
        return "No approved versions of this architecture follow each other, so that nothing says what is usual."
    return f"'Before' is the largest of {count(changes, 'change')} between approved versions that follow each other."


def ground(version: VersionEvidence) -> str:
    """Return how it is known that a version was approved."""
    return {
        "signature": f"approved by the signature of key {version.key[:16]} over its bytes",
        "tag": "tagged approved, which proves nothing",
        "no": "not known to be approved",
    }[version.approved]
