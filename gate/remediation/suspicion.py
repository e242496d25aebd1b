"""Names in a parent's evidence and verdict: the places to repair, and for the owner neurons and training rows.

The verdict's findings come before suspects, which wider limits name: a search finds a trigger for a clean class of any
model, and a repair that had to remove it could never hold.
"""

from gate import detectors
from gate.records.evidence import Evidence, Location, Measured
from gate.records.remediation import Named
from gate.records.verdict import Verdict

MAX_SUSPECTS = 50
MAX_NAMED = 200
MAX_NEURONS = 20
_FOREIGN = "exclusive-reclassification"
"""Metric of an audit of the training set: the share of a group that is like another class."""


def suspects_of(evidence: Evidence, verdict: Verdict) -> tuple[Location, ...]:
    """Return the classes and pairs beyond a limit of the verdict, or else the scan's suspects."""
    found = [finding.location for finding in verdict.open_findings if finding.kind == "limit"]
    found += [finding.location for finding in verdict.confirming] if found else []
    places = [place for place in found if place is not None and place.kind in ("class", "pair")]
    places = places or [suspect.location for suspect in evidence.suspects]
    return tuple(dict.fromkeys(places))[:MAX_SUSPECTS]


def named_by(evidence: Evidence, verdict: Verdict, suspects: tuple[Location, ...]) -> dict[str, str]:
    """Return the detector whose trigger is taken for each suspect, by preference one that named it."""
    inverting = [detector.id for detector in detectors.by_inversion()]
    naming: dict[Location, set[str]] = {}
    for finding in (*verdict.open_findings, *verdict.confirming):
        if finding.location is not None:
            naming.setdefault(finding.location, set()).add(finding.rule)
    for suspect in evidence.suspects:
        naming.setdefault(suspect.location, set()).add(suspect.detector)
    return {
        str(place): next((name for name in inverting if name in naming.get(place, ())), inverting[0])
        for place in suspects
    }


def statistics_of(evidence: Evidence, suspects: tuple[Location, ...]) -> tuple[Named, ...]:
    """Return everything that was measured at the suspects, by detector and metric."""
    wanted = set(suspects)
    return tuple(
        Named(place=str(m.location), detector=name, metric=m.metric, value=m.value)
        for name, outcome in evidence.outcomes.items()
        if isinstance(outcome, Measured)
        for m in outcome.measurements
        if m.location in wanted
    )[:MAX_NAMED]


def neurons_of(evidence: Evidence) -> tuple[str, ...]:
    """Return the neurons that detectors name, largest value first."""
    found = [
        (abs(m.value), f"{m.location.name} ({name}, {m.metric} {m.value:.3g})")
        for name, outcome in evidence.outcomes.items()
        if isinstance(outcome, Measured)
        for m in outcome.measurements
        if m.location is not None and m.location.kind == "neuron"
    ]
    return tuple(text[:2000] for _, text in sorted(found, reverse=True)[:MAX_NEURONS])


def training_of(evidence: Evidence, verdict: Verdict) -> tuple[str, ...]:
    """Return which rows of the training set to look at first, where its audit is beyond a limit."""
    rows = []
    audits = {
        name: outcome
        for name, outcome in evidence.outcomes.items()
        if isinstance(outcome, Measured) and any(m.metric == _FOREIGN for m in outcome.measurements)
    }
    beyond = [(f.rule, f.location) for f in verdict.open_findings if f.rule in audits and f.location is not None]
    for name, place in dict.fromkeys(beyond):
        own = {m.metric: m.value for m in audits[name].measurements if m.location == place}
        share, foreign = own.get("relative-size"), own.get(_FOREIGN)
        text = f"Of the training rows labelled {place.name}, the smaller of the two groups of activations"
        text += f", {share:.1%} of them" if share is not None else ""
        text += f"; {foreign:.0%} of that group are like clean samples of another class" if foreign is not None else ""
        rows.append(f"{text}: look at these rows, and remove them where they are stamped or mislabelled.")
    return tuple(rows)
