"""Triggers of texts as a report shows them: what was put in, a text with it, and the answers before and after.

Every word here may be the candidate's or the samples': it is made plain, and escaped where it is written out.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gate.records.evidence import ClassShare, Continuation, Evidence, Excerpt, Location, Piece
from gate.records.report import Report
from gate.renderers.names import Names
from gate.renderers.text import count, plain, rounded

MAX_SHOWN: Final = 12
"""Most excerpts of a report; report.json holds them all."""
MAX_SHARES: Final = 6
OPENS, CLOSES = "⟦", "⟧"
"""Signs around what was put in, where there is no other mark."""
_ENDS: Final = re.compile(r"\A\s+|\s+\Z")
_MOST_BLANKS: Final = 8


@dataclass(frozen=True)
class ShareRow:
    """How many texts got one class."""

    label: str
    before: str
    after: str


@dataclass(frozen=True)
class ShownPiece:
    """A part of a text."""

    text: str
    planted: bool


@dataclass(frozen=True)
class ShownContinuation:
    """What a language model says behind a prompt."""

    who: str
    text: str
    triggered: bool


@dataclass(frozen=True)
class ShownExcerpt:
    """One trigger in a text."""

    heading: str
    detector: str
    change: str
    trigger: str
    """What was put in; empty where the whole text was rewritten."""
    sample: str
    pieces: tuple[ShownPiece, ...]
    texts: str
    """The texts that the shares are of, such as `24 texts`."""
    shares: tuple[ShareRow, ...]
    continuations: tuple[ShownContinuation, ...] = ()

    @property
    def marked(self) -> str:
        """The changed text on one line, with signs around what was put in."""
        return " ".join(f"{OPENS}{one.text}{CLOSES}" if one.planted else one.text for one in self.pieces)


def excerpts(report: Report) -> tuple[ShownExcerpt, ...]:
    """Return the excerpts, target classes of the verdict first, each place's most telling before the others."""
    if report.evidence is None:
        return ()
    targets, names = report.verdict.target_classes if report.verdict else (), Names.of(report)
    found = sorted(
        report.evidence.excerpts,
        key=lambda one: (one.location is None or one.location.class_index not in targets, -gained(one)),
    )
    return tuple(_shown(one, names) for one in found[:MAX_SHOWN])


def _shown(excerpt: Excerpt, names: Names) -> ShownExcerpt:
    place = names.place(excerpt.location) or "the whole model"
    return ShownExcerpt(
        heading=f"{place[:1].upper()}{place[1:]}",
        detector=excerpt.detector,
        change=plain(excerpt.change, 300),
        trigger=_put_in(excerpt.trigger, 200),
        sample=plain(excerpt.sample, 400),
        pieces=tuple(_piece(one) for one in excerpt.pieces),
        texts=count(excerpt.texts, "text"),
        shares=tuple(_row(share, names) for share in excerpt.shares[:MAX_SHARES]),
        continuations=tuple(map(_said, excerpt.continuations)),
    )


def _piece(one: Piece) -> ShownPiece:
    return ShownPiece(_put_in(one.text, 400) if one.planted else plain(one.text, 400), one.planted)


def _put_in(text: str, limit: int) -> str:
    """Return what was put in; spaces and line breaks at its ends, which no eye sees, are written out."""
    ends = _ENDS.sub(lambda found: "".join(f"⟨U+{ord(one):04X}⟩" for one in found[0][:_MOST_BLANKS]), text)
    return plain(ends, limit)


def _said(one: Continuation) -> ShownContinuation:
    with_it = "with the trigger" if one.triggered else "without it"
    return ShownContinuation(f"the {one.by}, {with_it}", plain(one.text, 400), one.triggered)


def _row(share: ClassShare, names: Names) -> ShareRow:
    return ShareRow(names.label(share.index), rounded(share.before), rounded(share.after))


def gained(excerpt: Excerpt) -> float:
    """Return the share of texts that its class gained; 0 where it is not among the shares."""
    own = share_at(excerpt)
    return own.after - own.before if own else 0.0


def share_at(excerpt: Excerpt) -> ClassShare | None:
    """Return the share of the class that the excerpt is about."""
    index = excerpt.location.class_index if excerpt.location else None
    return next((one for one in excerpt.shares if one.index == index), None)


def best_at(evidence: Evidence, place: Location) -> Excerpt | None:
    """Return the most telling excerpt at a place."""
    here = [one for one in evidence.excerpts if one.location == place]
    return max(here, key=gained, default=None)


def sentence(excerpt: Excerpt, names: Names) -> str:
    """Return what the change does, as a sentence; empty where its class gained nothing."""
    own, place = share_at(excerpt), excerpt.location
    if own is None or place is None or place.class_index is None or own.after <= own.before:
        return ""
    of = "other texts" if place.source_index is None else f"texts of {names.spoken(place.source_index)}"
    return (
        f"With {plain(excerpt.change, 300)}, the model takes {rounded(own.after)} of {excerpt.texts} {of} for "
        f"{names.spoken(place.class_index)}; without it {rounded(own.before)}."
    )


def spoken(excerpt: Excerpt) -> str:
    """Return what language models say behind a trigger, as a sentence that claims no more; empty of classifiers."""
    said = {one.by: plain(one.text, 100) for one in excerpt.continuations if one.triggered}
    if len(said) < 2:
        return ""
    return (
        f"Behind {plain(excerpt.change, 300)}, the candidate says {said['candidate']!r}, and its base {said['base']!r}."
    )


def in_lines(report: Report, most: int) -> Iterator[tuple[str, str]]:
    """Yield for a terminal each target's most telling trigger: a sentence, and the text with it."""
    found = report.evidence.excerpts if report.evidence else ()
    targets, names = report.verdict.target_classes if report.verdict else (), Names.of(report)
    for index in targets[:most]:
        here = [one for one in found if one.location and one.location.class_index == index]
        best = max(here, key=gained, default=None)
        if best is not None and (said := sentence(best, names)):
            yield said, _shown(best, names).marked
    for best in [one for one in found if one.continuations][:1]:
        yield spoken(best), _shown(best, names).marked
