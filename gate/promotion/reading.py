"""A version at a glance for reviewers: its age, why it was flagged, which class, a picture.

The report is fetched from the place in the version's tag, a candidate-controlled claim; it counts only if its evidence
has the digest in the decision.
"""

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from gate.attestations.statement import Statement
from gate.check.files import REPORT, private_directory
from gate.promotion.review import Waiting
from gate.records.errors import GateError
from gate.records.evidence import Picture
from gate.records.record import MalformedError, Record
from gate.records.report import Report
from gate.registries.contract import Registry
from gate.registries.downloading import RECORD_BOUNDS, bounded
from gate.renderers.causes import causes
from gate.renderers.first import first
from gate.renderers.gallery import Shown, shown
from gate.renderers.text import plain

REPORTS = re.compile(r"runs:/[0-9a-f]{32}/report")
"""Places that the gate follows in the tag gate.report: only a run's folder."""
RecordT = TypeVar("RecordT", bound=Record)

_LONGEST_REASON = 400
_LOOKED_AT = ("triggered", "trigger", "inversion", "mask", "pattern", "difference", "sample")
"""Roles of pictures, the most telling first."""
_HEAD = ("sample", "triggered", "trigger")
"""Roles of the pictures at the head of a page: an image, the same with the trigger, and the trigger."""

_DAY = 86400
_UNITS = {"year": 365 * _DAY, "month": 30 * _DAY, "week": 7 * _DAY, "day": _DAY, "hour": 3600, "minute": 60}


@dataclass(frozen=True)
class Glance:
    """A report at a glance."""

    reason: str
    """One sentence."""
    classes: tuple[int, ...]
    """Target classes that a limit named."""
    thumbnail: Shown | None = None
    pictures: tuple[Shown, ...] = ()
    """Pictures for the head of a page, one per role."""


def reason_of(report: Report) -> str:
    """Return in one sentence why a version was decided as it was."""
    if report.error or report.verdict is None:
        return plain(report.error, _LONGEST_REASON)
    findings = report.verdict.open_findings
    if not findings:
        return "No limit was exceeded."
    found, sentences = causes(findings, report), first(report).sentences
    more = len(found) - 1
    rest = f" And {more} more reason{'s' if more > 1 else ''}." if more else ""
    return plain(sentences[0] if sentences else found[0].first.message, _LONGEST_REASON) + rest


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
    """Return the time of a version's scan by its trusted decision, or else by its tag; None where that is no time."""
    if seen.found.statement is not None:
        return seen.found.statement.predicate.scan_time
    try:
        claimed = dt.datetime.fromisoformat(seen.tags.get("gate.checked_at", "")[:40])
    except ValueError:
        return None
    return claimed if claimed.tzinfo is not None else claimed.replace(tzinfo=dt.UTC)


def kept_record(registry: Registry, where: str, name: str, kind: type[RecordT]) -> RecordT | None:
    """Return a record beside a check's reports; None where the tag names none, or it cannot be read."""
    if not REPORTS.fullmatch(where):
        return None
    try:
        with private_directory() as folder:
            with bounded(folder, RECORD_BOUNDS, where):
                path = registry.fetch(f"{where}/{name}", folder)
            return kind.from_file(path)
    except (GateError, MalformedError):
        return None


def report_of(registry: Registry, seen: Waiting, statement: Statement | None, stores: Sequence[str]) -> Report | None:
    """Return a decision's report from the registry; None where there is none, or another one's."""
    if statement is None:
        return None
    report = kept_record(registry.allowing(stores), seen.tags.get("gate.report", ""), REPORT, Report)
    evidence = report.evidence if report is not None else None
    return report if evidence is not None and evidence.digest == statement.predicate.evidence_digest else None


def ago(then: dt.datetime, now: dt.datetime) -> str:
    """Return `3 hours ago` or `in 3 hours`, in the largest unit that fits."""
    seconds = (now - then).total_seconds()
    unit = next((unit for unit, length in _UNITS.items() if abs(seconds) >= length), None)
    if unit is None:
        return "just now"
    amount = int(abs(seconds) // _UNITS[unit])
    span = f"{amount} {unit}{'s' if amount > 1 else ''}"
    return f"{span} ago" if seconds > 0 else f"in {span}"
