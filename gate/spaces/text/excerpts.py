"""Excerpts of texts for the report: a sample, what was put into it, and how the answers of many changed."""

from collections.abc import Mapping
from typing import Final, Literal

from gate.records.evidence import ClassShare, Continuation, Excerpt, Location, Piece
from gate.spaces.text.inserting import Place, split_at

_AROUND: Final = 160
"""Characters that are shown on either side of what was put in."""
_MOST_SHARES: Final = 16
_TRIGGER: Final = 300
_CONTINUATION: Final = 600
Speaker = Literal["candidate", "base"]
_CUT: Final = "…"


def class_shares(before: list[int], after: list[int]) -> tuple[ClassShare, ...]:
    """Return how often texts got each class before and after a change, the most gained first."""
    count = max(1, len(before))
    found = [
        ClassShare(index=index, before=before.count(index) / count, after=after.count(index) / count)
        for index in sorted({*before, *after})
    ]
    return tuple(sorted(found, key=lambda one: one.before - one.after)[:_MOST_SHARES])


def with_insertion(
    text: str, words: str, place: Place, change: str, location: Location | None, answers: tuple[list[int], list[int]]
) -> Excerpt:
    """Return a text with words put in; `answers` are those of many texts without and with them."""
    before, after = split_at(text, place)
    left, right = _end(before), _begin(after)
    parts = (Piece(text=left), Piece(text=words[:_TRIGGER], planted=True), Piece(text=right))
    return Excerpt(
        location=location,
        trigger=words[:_TRIGGER],
        change=change[:2000],
        sample=" ".join(part for part in (left, right) if part)[:1000],
        pieces=tuple(part for part in parts if part.text),
        texts=len(answers[0]),
        shares=class_shares(*answers),
    )


def with_continuations(
    text: str, words: str, place: Place, change: str, said: Mapping[tuple[Speaker, bool], str], texts: int
) -> Excerpt:
    """Return a prompt with words put in, and what candidate and base say behind it with (True) and without them."""
    bare = with_insertion(text, words, place, change, None, ([], []))
    continuations = tuple(
        Continuation(by=by, triggered=triggered, text=_begin(one, _CONTINUATION))
        for (by, triggered), one in said.items()
    )
    return bare.model_copy(update={"texts": texts, "continuations": continuations})


def rewritten(text: str, after: str, change: str, location: Location, answers: tuple[list[int], list[int]]) -> Excerpt:
    """Return a text and what a rewrite made of it."""
    return Excerpt(
        location=location,
        change=change[:2000],
        sample=_begin(text, 2 * _AROUND),
        pieces=(Piece(text=_begin(after, 2 * _AROUND), planted=True),),
        texts=len(answers[0]),
        shares=class_shares(*answers),
    )


def _begin(text: str, most: int = _AROUND) -> str:
    return text if len(text) <= most else text[: most - 1] + _CUT


def _end(text: str, most: int = _AROUND) -> str:
    return text if len(text) <= most else _CUT + text[1 - most :]
