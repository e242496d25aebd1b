"""The files of a remediation: the record itself, an HTML page and a Markdown text, from one view of it.

Nothing here says that a repaired model is approved: that is decided by the gate's own scan of it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gate.records.remediation import REMEDIATION, Attempt, RemediationReport
from gate.records.repair import RepairMeasures, accuracy_noise, fidelity
from gate.renderers.gallery import PictureGroup, Shown, shown
from gate.renderers.templates import HTML, MARKDOWN
from gate.renderers.text import duration, listed, number, percent

MAX_STATISTICS = 60
MAX_CHANGES = 12

WORDS = {"repaired": "REPAIRED, and not approved", "none-holds": "NO REPAIR HOLDS", "does-not-fit": "NO METHOD FITS"}
STATES = {"repaired": "unfinished", "none-holds": "flagged", "does-not-fit": "flagged"}
"""Colour of the page by outcome: amber for a repair to be judged, red for none."""

MEANS = {
    "repaired": "One attempt keeps its own bounds: the triggers that were found no longer work, none as small was "
    "found anew at the same classes, and clean accuracy is kept. That is worth a scan, and no more. The repaired model "
    "is a candidate like any other, and only the gate's own scan of it decides.",
    "none-holds": "No attempt both removes the triggers that were found and keeps clean accuracy. Nothing was "
    "registered. Retrain from scratch, on data that were looked through.",
    "does-not-fit": "No method could be applied to this model with these samples, for the reasons below. Nothing was "
    "changed and nothing was registered.",
}
_CAPTIONS = {"old": "The parent's trigger", "fresh": "A fresh trigger, after the repair"}


@dataclass(frozen=True)
class Compared:
    """One row of the comparison, each cell in words."""

    what: str
    before: str
    after: str
    note: str = ""


@dataclass(frozen=True)
class Tried:
    """One attempt in the table of all attempts."""

    method: str
    word: str
    holds: bool
    reasons: tuple[str, ...]
    seed: int
    accuracy: str
    took: str
    changed: str


@dataclass(frozen=True)
class View:
    """Everything that a template writes out."""

    report: RemediationReport
    state: str
    word: str
    means: str
    made_at: str
    subject: str
    method: str
    """Method of the attempt that is compared."""
    compared: tuple[Compared, ...]
    tried: tuple[Tried, ...]
    not_tried: tuple[str, ...]
    hidden: tuple[str, ...]
    pictures: tuple[PictureGroup, ...]
    advice: tuple[str, ...]
    level: str


def view(report: RemediationReport) -> View:
    """Return what is to be shown of a remediation."""
    main = report.shown
    return View(
        report=report,
        state=STATES[report.outcome],
        word=WORDS[report.outcome],
        means=MEANS[report.outcome],
        made_at=report.made_at.replace("T", " ").replace("Z", " UTC"),
        subject=f"{report.parent} → {report.registered}" if report.registered else str(report.parent),
        method=main.result.method if main else "",
        compared=tuple(_compared(report, main)) if main else (),
        tried=tuple(_tried(attempt) for attempt in report.attempts),
        not_tried=report.planned[len(report.attempts) :],
        hidden=tuple(
            f"{method} only hid the trigger at {place}: the parent's trigger no longer works there, and a new small "
            "one was found that does."
            for method, place in report.hidden
        ),
        pictures=_pictures(report, main),
        advice=tuple(_advice(report)),
        level=f"{min(1.0, report.level * len(report.planned)):.3g} ({report.level:g} times {len(report.planned)})",
    )


def _compared(report: RemediationReport, attempt: Attempt) -> Iterator[Compared]:
    before, after = attempt.result.before, attempt.result.after
    if before is None or after is None:
        return
    note = (
        f"on {after.held_out} held-out samples; {percent(report.bounds.max_loss)} may be lost, and one standard error "
        f"({percent(accuracy_noise(after))})"
    )
    yield Compared("Clean accuracy", _accuracy(before), _accuracy(after), note)
    for place in dict.fromkeys((*before.old_success, *before.fresh_success, *after.fresh_success)):
        if place in before.old_success:
            kept = fidelity(before, after, place)
            note = f"NIST fidelity {number(kept)}" if kept is not None else "it did not work before: no fidelity"
            old = _share(before.old_success, place), _share(after.old_success, place)
            yield Compared(f"Success of the parent's trigger at {place}", *old, note)
        # What a search finds on the parent is the parent's trigger; only the repaired model is searched anew.
        first = before.fresh_success if place in before.fresh_success else before.old_success
        fresh = _share(first, place), _share(after.fresh_success, place)
        yield Compared(f"Success of a trigger inverted on each model, at {place}", *fresh, "a fresh one afterwards")
        ratio = _ratio(before, place, _scanned(report, attempt, place)), _ratio(after, place, None)
        note = f"over the median class's; a trigger counts as found below {report.bounds.min_size_ratio:g}"
        yield Compared(f"Size of that trigger at {place}", *ratio, note)


def _accuracy(measures: RepairMeasures) -> str:
    low, high = percent(measures.accuracy_low), percent(measures.accuracy_high)
    return f"{percent(measures.accuracy)} ({low} to {high})"


def _share(values: dict[str, float], place: str) -> str:
    return percent(values[place]) if place in values else "not measured"


def _scanned(report: RemediationReport, attempt: Attempt, place: str) -> float | None:
    """Return the size ratio of the parent's scan at a place, by the search that the attempt repeated."""
    own = [one for one in report.named if one.place == place and one.metric == "size-ratio"]
    return next((one.value for one in own if one.detector in attempt.result.used_detectors), None)


def _ratio(measures: RepairMeasures, place: str, otherwise: float | None) -> str:
    value = measures.fresh_size_ratio.get(place, otherwise)
    return "not measured" if value is None else f"{value:.2f}"


def _tried(attempt: Attempt) -> Tried:
    result, word = attempt.result, {"does-not-fit": "does not fit", "failed": "failed"}.get(attempt.result.status, "")
    accuracy = "not measured"
    if result.before is not None and result.after is not None:
        accuracy = f"{percent(result.before.accuracy)} → {percent(result.after.accuracy)}"
    changes = [f"{name} {number(v) if not isinstance(v, str) else v}" for name, v in result.changed.items()]
    more = len(changes) - MAX_CHANGES
    return Tried(
        method=result.method,
        word=word or ("does not hold" if attempt.broken else "holds"),
        holds=not attempt.broken,
        reasons=attempt.broken,
        seed=result.seed,
        accuracy=accuracy,
        took=duration(result.seconds),
        changed=", ".join(changes[:MAX_CHANGES]) + (f" and {more} more" if more > 0 else ""),
    )


def _pictures(report: RemediationReport, attempt: Attempt | None) -> tuple[PictureGroup, ...]:
    """Return each suspect's triggers side by side: the parent's first, then those found afterwards."""
    own = attempt.result.pictures if attempt else ()
    old = {picture.location for picture in own if picture.caption == "old"}
    groups = []
    for place in report.suspects:
        parents = [shown(p) for p in report.pictures if p.location == place and p.role in ("trigger", "mask")]
        found = [_captioned(shown(p), p.caption) for p in own if p.location == place]
        together = found if place in old else [_captioned(one, "old") for one in parents] + found
        if together:
            groups.append(PictureGroup(str(place).capitalize(), tuple(dict.fromkeys(together))))
    return tuple(groups)


def _captioned(picture: Shown, caption: str) -> Shown:
    title = _CAPTIONS.get(caption, picture.title)
    return Shown(title=title, caption=picture.title, alt=f"{title}: {picture.alt}", source=picture.source)


def _advice(report: RemediationReport) -> Iterator[str]:
    if report.outcome == "repaired":
        yield "Have the gate scan the repaired model; the command is below. Its exit code is the decision."
        return
    if report.outcome == "does-not-fit":
        yield "Remove what is named in the attempts below, such as samples that are too few or without labels."
    yield f"Retrain from scratch. The scan names {listed([str(place) for place in report.suspects])}."
    yield from report.training
    if not report.training:
        yield (
            "Look first at the training samples that are labelled as these classes: a stamp, a tint or a label that is "
            "not theirs. No audit of the training set was among the evidence, or it named nothing."
        )
    if report.neurons:
        yield f"The neurons that differ most: {'; '.join(report.neurons[:8])}."


def render_html(report: RemediationReport) -> str:
    """Return one self-contained page, without script or network."""
    return HTML.get_template("remediation.html.j2").render(view=view(report), statistics=MAX_STATISTICS)


def render_markdown(report: RemediationReport) -> str:
    """Return Markdown for a terminal or a merge request, without pictures."""
    return MARKDOWN.get_template("remediation.md.j2").render(view=view(report), statistics=MAX_STATISTICS)


REMEDIATION_RENDERERS: Mapping[str, Callable[[RemediationReport], str]] = MappingProxyType(
    {REMEDIATION: RemediationReport.pretty_json, "remediation.md": render_markdown, "remediation.html": render_html}
)
"""File name to the function that writes it."""
