"""What the review log says of bytes today: whether a decision is the newest, and the rejections that stand.

A rejection is about bytes, not about the name that they were registered by: it counts for every version with the same
candidate or bundle, until its reviewer approves these bytes, or another reviewer's signed approval names it. Neither
a new check nor another version takes it back (docs/decisions/0049-what-a-review-is-about.md).
"""

from collections.abc import Collection, Iterator, Sequence
from operator import attrgetter

from gate.attestations.envelope import claimed
from gate.attestations.log import DECISIONS, Entry, newest_decision, same_decision
from gate.attestations.statement import Predicate, Statement, Voice
from gate.records.finding import Decision

_UNNAMED = "somebody whom the log does not name"
_NO_REASON = "no reason stands in the log"


def not_newest(statement: Statement, envelope: str, entries: Sequence[Entry]) -> tuple[str, ...]:
    """Return a reason if the newest decision about the same bytes of the same version is another one."""
    newest = newest_decision(entries, statement.predicate.model, statement.predicate.model_digest)
    if newest is None:
        return ("The review log knows no decision about these bytes; `gate check` writes it there with --audit-log.",)
    if same_decision(newest, envelope):
        return ()
    return (f"The review log holds a newer decision about these bytes: {newest.outcome}, {newest.at.isoformat()}.",)


def overruled(statement: Statement, entries: Sequence[Entry]) -> tuple[str, ...]:
    """Return a reason for each rejection of the same bytes against which an approval stands."""
    if statement.predicate.decision is not Decision.APPROVED:
        return ()
    return tuple(
        f"{voice.reviewer} rejected these bytes on {voice.at.isoformat()}, and nobody has taken it back: {voice.reason}"
        for voice in rejections(entries, digests_of(statement.predicate))
    )


def digests_of(predicate: Predicate) -> frozenset[str]:
    """Return the digests of the candidate and of its bundle."""
    return frozenset(filter(None, (predicate.model_digest, predicate.bundle_digest)))


def rejections(entries: Sequence[Entry], about: Collection[str]) -> tuple[Voice, ...]:
    """Return the rejections of bytes, of whatever version, that stand, the oldest first."""
    voices = list(_voices(entries, frozenset(about)))
    latest: dict[str, Voice] = {}
    # Of two words of the same moment the rejection counts.
    for voice in sorted(voices, key=lambda one: (one.at, one.outcome == "rejected")):
        latest[voice.reviewer] = voice
    standing = (voice for voice in latest.values() if voice.outcome == "rejected")
    kept = (voice for voice in standing if not any(_takes_back(other, voice) for other in voices))
    return tuple(sorted(kept, key=attrgetter("at")))


def _takes_back(other: Voice, rejection: Voice) -> bool:
    return rejection.reviewer in other.lifts and other.at > rejection.at


def _voices(entries: Sequence[Entry], about: frozenset[str]) -> Iterator[Voice]:
    """Yield what was said of these bytes; a line that says rejected counts, whatever is signed in it."""
    for entry in entries:
        if entry.event not in DECISIONS:
            continue
        statement = claimed(entry.envelope) if entry.envelope else None
        digests = digests_of(statement.predicate) if statement else frozenset()
        if not about & {entry.digest, *digests}:
            continue
        if statement is not None and statement.predicate.review is not None:
            yield from statement.predicate.review.voices
        if entry.event == "review" and entry.outcome == "rejected":
            reason = entry.reason or _NO_REASON
            yield Voice(reviewer=entry.who or _UNNAMED, outcome="rejected", reason=reason, at=entry.at)
