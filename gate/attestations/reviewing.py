"""A scan's statement with reviewers' voices: how one is added, and how rejections of the same bytes stay in it."""

import datetime as dt
from collections.abc import Sequence

from gate import VERSION
from gate.attestations.statement import Predicate, Review, Statement, Voice
from gate.records.finding import Decision

MOST_CARRIED = 5
"""Most rejections from the log in one statement, so that it fits a tag; the log holds the others against it."""


def carrying(scanned: Statement, standing: Sequence[Voice], *, needed: int) -> Statement:
    """Return a scan's statement with rejections of these bytes that stand, which leave it flagged."""
    if not standing:
        return scanned
    voices = _merged(standing[-MOST_CARRIED:])
    return _with_review(scanned, Review(voices=voices, needed=needed), {"scanned_at": scanned.predicate.scan_time})


def reviewed(
    scanned: Statement, voice: Voice, *, needed: int, days: int, most: int, standing: Sequence[Voice] = ()
) -> Statement:
    """Return the statement with one more voice, which replaces the same reviewer's earlier one.

    It holds for `days` from the voice on, and at most until `most` days after the scan, whoever spoke in between.
    `standing` are rejections of the same bytes that stand in the log, of whatever version.
    """
    before = scanned.predicate.review
    earlier = _merged((*(before.voices if before else ()), *standing[-MOST_CARRIED:]))
    others = tuple(v for v in earlier if v.reviewer not in {voice.reviewer, *voice.lifts})
    changes = {
        "decided_at": voice.at,
        "expires_at": min(voice.at + dt.timedelta(days=days), scanned.predicate.latest_end(most)),
        "scanned_at": scanned.predicate.scan_time,
        "gate_version": VERSION,
    }
    return _with_review(scanned, Review(voices=(*others, voice), needed=needed), changes)


def _merged(voices: Sequence[Voice]) -> tuple[Voice, ...]:
    """Return each reviewer's last voice, in the order in which they first spoke."""
    last: dict[str, Voice] = {}
    for voice in voices:
        if voice.reviewer not in last or voice.at >= last[voice.reviewer].at:
            last[voice.reviewer] = voice
    return tuple(last.values())


def _with_review(scanned: Statement, review: Review, changes: dict[str, object]) -> Statement:
    decision = Decision.APPROVED if review.outcome == "approved" else Decision.FLAGGED
    said = {**dict(scanned.predicate), "decision": decision, "review": review, **changes}
    return Statement.of(Predicate.model_validate(said))
