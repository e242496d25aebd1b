"""What a reviewer sees of a version before reading its report: why it was flagged, which class, a picture.

The report is fetched from where the version's tag says, which is the candidate side's word; it counts only where its
evidence has the digest that stands in the decision.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from gate.attestations.statement import Statement
from gate.check.files import REPORT
from gate.promotion.kept_records import kept_record
from gate.promotion.review import Waiting
from gate.records.evidence import Picture
from gate.records.report import Report
from gate.registries.contract import Registry
from gate.renderers.causes import causes
from gate.renderers.first import first
from gate.renderers.gallery import Shown, shown
from gate.renderers.text import plain

_LONGEST_REASON = 400
_LOOKED_AT = ("triggered", "trigger", "inversion", "mask", "pattern", "difference", "sample")
"""Which picture says most at a glance."""
_HEAD = ("sample", "triggered", "trigger")
"""What stands at the head of a page: an image as it was, with the trigger, and the trigger alone."""


@dataclass(frozen=True)
class Glance:
    """A report at a glance."""

    reason: str
    """One sentence."""
    classes: tuple[int, ...]
    """Target classes that a limit named."""
    thumbnail: Shown | None = None
    pictures: tuple[Shown, ...] = ()
    """For the head of a page, one of a role."""


def reason_of(report: Report) -> str:
    """Return in one sentence why a version was decided as it was; the one place where surfaces take it from."""
    if report.error or report.verdict is None:
        return plain(report.error, _LONGEST_REASON)
    findings = report.verdict.open_findings
    if not findings:
        return "No limit was exceeded."
    said, sentences = causes(findings, report), first(report).sentences
    more = len(said) - 1
    rest = f" And {more} more reason{'s' if more > 1 else ''}." if more else ""
    return plain(sentences[0] if sentences else said[0].first.message, _LONGEST_REASON) + rest


def glance(report: Report) -> Glance:
    """Return a report at a glance."""
    classes = report.verdict.target_classes if report.verdict else ()
    pictures = report.evidence.pictures if report.evidence else ()
    named = [one for one in pictures if one.location and one.location.class_index in classes] if classes else []
    chosen = named or list(pictures)
    best = _first(chosen, _LOOKED_AT)
    head = [found for role in _HEAD if (found := _first(chosen, (role,))) is not None]
    return Glance(
        reason=reason_of(report),
        classes=classes,
        thumbnail=shown(best) if best else None,
        pictures=tuple(shown(one) for one in head),
    )


def _first(pictures: Sequence[Picture], roles: Sequence[str]) -> Picture | None:
    return next((one for role in roles for one in pictures if one.role == role), None)


def checked_at(seen: Waiting) -> dt.datetime | None:
    """Return when a version was checked, as its trusted decision says or else its tag; None where that is no time."""
    if seen.found.statement is not None:
        return seen.found.statement.predicate.decided_at
    try:
        said = dt.datetime.fromisoformat(seen.tags.get("gate.checked_at", "")[:40])
    except ValueError:
        return None
    return said if said.tzinfo is not None else said.replace(tzinfo=dt.UTC)


def report_of(registry: Registry, seen: Waiting, statement: Statement | None, stores: Sequence[str]) -> Report | None:
    """Return the report that belongs to a decision, from the registry; None where it is not that one's."""
    if statement is None:
        return None
    report = kept_record(registry.allowing(stores), seen.tags.get("gate.report", ""), REPORT, Report)
    same = (
        report is not None
        and report.evidence is not None
        and report.evidence.digest == statement.predicate.evidence_digest
    )
    return report if same else None
