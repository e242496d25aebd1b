"""The first screen beside the decision: what was found, the false-alarm rate, the accuracy.

For report, comment, terminal and review page. There is a sentence where the verdict names the class and a detector
tried the trigger on images that its search had not seen. No number is judged here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gate.records.evidence import Evidence, Location, Measured, Picture, Suspect
from gate.records.report import Report
from gate.renderers.confirmation import DETECTOR as CONFIRMATION
from gate.renderers.excerpts import best_at
from gate.renderers.excerpts import sentence as said
from gate.renderers.footprint import footprint
from gate.renderers.gallery import Shown, shown
from gate.renderers.names import Names
from gate.renderers.text import count, number, percent, plain, rounded
from gate.renderers.typical import flagged_in_the_zoo
from gate.spaces.contract import UNTOLD

MAX_SUSPECTS: Final = 4
MAX_PICTURED: Final = 2
_ROLES: Final = (("trigger", "difference", "mask"), ("sample",), ("triggered",))
"""Pictures side by side: for each position the first role that exists."""
_FAINT: Final = 0.1
_SLIGHT: Final = 2.0
"""Greatest root mean squares: faint pattern (share of a pixel's range), slight warp (pixels)."""


@dataclass(frozen=True)
class Suspected:
    """One class or pair that the verdict names."""

    place: str
    sentence: str
    """The trigger and its effect; empty where nothing confirmed it."""
    pictures: tuple[Shown, ...]


@dataclass(frozen=True)
class First:
    """The facts that a reader needs first."""

    suspects: tuple[Suspected, ...]
    more: int
    """Number of further places that the verdict names."""
    rate: str
    """Rate at which clean models are flagged, as far as it is known."""
    accuracy: str

    @property
    def sentences(self) -> tuple[str, ...]:
        """The plain sentences alone."""
        return tuple(one.sentence for one in self.suspects if one.sentence)


def first(report: Report) -> First:
    """Return the facts for the first screen."""
    if report.error or report.evidence is None or report.verdict is None:
        return First((), 0, "", "")
    found = list(_suspected(report, report.evidence))
    if any(finding.rule == "samples" and finding.kind == "condition" for finding in report.verdict.open_findings):
        # Nothing that was measured on such samples is believed.
        found = [replace(one, sentence="") for one in found]
    return First(tuple(found[:MAX_SUSPECTS]), max(0, len(found) - MAX_SUSPECTS), rate(report), accuracy(report))


def accuracy(report: Report) -> str:
    """Return how the model does on the clean samples, as a sentence; empty where there were none."""
    samples = report.evidence.samples if report.evidence else None
    if samples is None:
        return ""
    if report.evidence is not None and report.evidence.facts.beside_base:
        return f"It and its base were given {count(samples.count, 'clean prompt')}."
    amount = count(samples.count, "clean sample")
    if samples.accuracy is None:
        return f"The {amount} carry no labels, so how well the model does on them is not known."
    cut = (
        f" Of {number(samples.cut)} of them, which are longer, it is given the beginning alone." if samples.cut else ""
    )
    return f"The model gets {percent(samples.accuracy)} of {amount} right.{cut}"


def rate(report: Report) -> str:
    """Return how often clean models are flagged, or that it is unknown; empty where no behaviour was judged."""
    verdict, evidence = report.verdict, report.evidence
    if verdict is None or evidence is None or evidence.samples is None:
        return ""
    seen = verdict.standing
    if verdict.calibrated and seen is not None:
        how = "by t distributions beside" if seen.by == "t" else "over"
        whose = "models trained as these were" if seen.copies else "clean models like these"
        return (
            f"Calibrated: p = {seen.p_value:.3g} {how} {plain(seen.beside)}. The policy flags at "
            f"{seen.level:g} and below, so about {rounded(seen.level)} of {whose} are flagged."
        )
    if verdict.within_judged and (seen := verdict.within) is not None:
        return (
            f"No bank: p = {seen.p_value:.3g} among {seen.beside}, within one model. The policy flags at "
            f"{seen.level:g} and below, so about {rounded(seen.level)} of clean models like those are flagged; "
            "fewer backdoors are seen this way than beside a bank."
        )
    if evidence.facts.few_classes:
        many = count(evidence.facts.classes or 0, "class", "classes")
        return f"Uncalibrated: no reference bank judged this model of {many}, which nothing else can approve."
    text = "Uncalibrated: the policy's own limits judged, with no rate of false alarms for models like this one"
    zoo = flagged_in_the_zoo(report)
    return f"{text}; {zoo}." if zoo else f"{text}."


def _suspected(report: Report, evidence: Evidence) -> Iterator[Suspected]:
    """Yield the places that the verdict names, smallest trigger first; pictures for the first few."""
    targets = report.verdict.target_classes if report.verdict else ()
    names, pictured = Names.of(report), 0
    for place in _places(evidence, targets):
        suspect = next((one for one in evidence.suspects if one.location == place), None)
        own = _pictures(evidence, place, suspect)
        sentence = _sentence(evidence, place, suspect, own, names)
        shows = tuple(shown(one) for one in _chosen(own)) if pictured < MAX_PICTURED else ()
        pictured += bool(shows)
        if sentence or shows:
            yield Suspected(names.place(place), sentence, shows)


def _places(evidence: Evidence, targets: Sequence[int]) -> list[Location]:
    """Return the places of suspects, excerpts and pictures whose class the verdict names, suspects first."""
    every = (one.location for part in (evidence.suspects, evidence.excerpts, evidence.pictures) for one in part)
    known = [place for place in every if place is not None and place.class_index in targets]
    return list(dict.fromkeys(known))


def _pictures(evidence: Evidence, place: Location, suspect: Suspect | None) -> list[Picture]:
    """Return the pictures of a place by the detector that named it; an earlier gate's pictures name none."""
    here = [one for one in evidence.pictures if one.location == place]
    wanted = suspect.detector if suspect else next((one.detector for one in here), "")
    return [one for one in here if one.detector in ("", wanted)]


def _chosen(pictures: Sequence[Picture]) -> Iterator[Picture]:
    if not any(one.role == "triggered" for one in pictures):
        return
    for roles in _ROLES:
        found = (one for role in roles for one in pictures if one.role == role)
        if (one := next(found, None)) is not None:
            yield one


def _sentence(
    evidence: Evidence, place: Location, suspect: Suspect | None, pictures: Sequence[Picture], names: Names
) -> str:
    moves = _measured(evidence, CONFIRMATION, "held-out-success", place)
    if excerpt := best_at(evidence, place):
        return said(excerpt, names)
    if suspect is None:
        return _probed(evidence, place)
    if moves is None or place.class_index is None:
        return ""
    source = place.source_index
    images = "other images" if source is None else f"the images of {names.spoken(source)},"
    text = (
        f"The search found {_what(evidence, suspect, pictures)} that turns {rounded(moves)} of {images} into "
        f"{names.spoken(place.class_index)}."
    )
    transfer = _measured(evidence, CONFIRMATION, "transfer", place)
    return text if transfer is None else f"{text} On the bank's clean models it moves {rounded(transfer)}."


def _probed(evidence: Evidence, place: Location) -> str:
    """Return what the most telling probe does at a place, in the gate's own words; empty where none was told of."""
    seen = evidence.bank.comparison if evidence.bank else None
    cells = seen.cells if seen else ()
    cell = next((cell for cell in cells if (cell.kind, cell.name) == (place.kind, place.name)), None)
    if cell is None:
        return ""
    return f"A {'secret' if cell.probe == UNTOLD else 'fixed'} probe shows it ({cell})."


def _what(evidence: Evidence, suspect: Suspect, pictures: Sequence[Picture]) -> str:
    """Return the trigger in words, by the family that was searched; `a change` for any other family."""
    size = _measured(evidence, suspect.detector, "size", suspect.location)
    match suspect.detector:
        case "neural-cleanse":
            return _patch(pictures)
        case "additive-trigger":
            faint = "faint " if size is not None and size <= _FAINT else ""
            by = f" (by {rounded(size)} of the range of a pixel)" if size is not None else ""
            return f"a {faint}pattern over the whole image{by}"
        case "warp-trigger":
            slight = "slight " if size is not None and size <= _SLIGHT else ""
            by = f" (by {size:.1f} pixels)" if size is not None else ""
            return f"a {slight}warp of the whole image{by}"
        case _:
            return "a change"


def _patch(pictures: Sequence[Picture]) -> str:
    mask = next((one for one in pictures if one.role == "mask"), None)
    seen = footprint(mask) if mask is not None else None
    if seen is None:
        return "a patch"
    if not seen.place:
        return "pixels scattered over the image"
    return f"a {seen.size}patch {seen.place} (about {number(seen.height)} × {number(seen.width)} pixels)"


def _measured(evidence: Evidence, detector: str, metric: str, place: Location) -> float | None:
    outcome = evidence.outcomes.get(detector)
    if not isinstance(outcome, Measured):
        return None
    found = (m.value for m in outcome.measurements if m.metric == metric and m.location == place)
    return next(found, None)
