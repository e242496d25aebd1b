"""A version at a glance for reviewers: its age, why it was flagged, which class, a picture.

The report is fetched from the place in the version's tag, a candidate-controlled claim. Only its evidence and policy
are taken, where they have the digests in the decision; verdict and report are made anew from these.
"""

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from gate.attestations.statement import Statement
from gate.check.files import REPORT, private_directory
from gate.check.report import Context, build_report
from gate.check.rules import Rules
from gate.judging.judge import judge
from gate.promotion.waiting import Waiting
from gate.records.errors import GateError
from gate.records.evidence import Picture
from gate.records.record import MalformedError, Record
from gate.records.report import Given, Report
from gate.registries.contract import Registry
from gate.registries.downloading import OWN_FILES, RECORD_BOUNDS, bounded
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

_SIGNED: Final = Given(signs=True, marks=True)
"""All that a signed decision says of the check's options."""
_POLICY: Final = Path("POLICY")
"""Stands in commands for the policy's file, of which a statement knows the digest alone."""
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
            with bounded(folder, RECORD_BOUNDS, where, own_files=OWN_FILES):
                path = registry.fetch(f"{where}/{name}", folder)
            return kind.from_file(path)
    except (GateError, MalformedError):
        return None


def report_of(registry: Registry, seen: Waiting, statement: Statement | None, stores: Sequence[str]) -> Report | None:
    """Return a decision's report from the registry; None where there is none, or another one's."""
    if statement is None:
        return None
    kept = kept_record(registry.allowing(stores), seen.tags.get("gate.report", ""), REPORT, Report)
    try:
        return signed_report(kept, statement) if kept is not None else None
    except GateError:  # such as a detector of the policy that this gate no longer has
        return None


def signed_report(kept: Report, statement: Statement) -> Report | None:
    """Return the report that follows from a decision, with evidence and policy of a file; None where they are others.

    Verdict, coverage, error, description and commands of the file were signed by nobody, and are not looked at.
    """
    said, evidence, policy = statement.predicate, kept.evidence, kept.policy
    if evidence is None or (evidence.digest, policy.digest) != (said.evidence_digest, said.policy_digest):
        return None
    verdict = judge(evidence, policy, on=said.scan_time.astimezone(dt.UTC).date())
    if said.review is None and verdict.decision is not said.decision:
        return None  # a gate that judges otherwise cannot say why
    context = Context(str(said.model), said.model, Rules(policy, _POLICY), given=_SIGNED)
    files = kept.manifest if kept.manifest and kept.manifest.digest == said.model_digest else None
    found = {"checked_at": f"{said.scan_time.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}", "manifest": files}
    return build_report(evidence, verdict, context).model_copy(update=found)


def ago(then: dt.datetime, now: dt.datetime) -> str:
    """Return `3 hours ago` or `in 3 hours`, in the largest unit that fits."""
    seconds = (now - then).total_seconds()
    unit = next((unit for unit, length in _UNITS.items() if abs(seconds) >= length), None)
    if unit is None:
        return "just now"
    amount = int(abs(seconds) // _UNITS[unit])
    span = f"{amount} {unit}{'s' if amount > 1 else ''}"
    return f"{span} ago" if seconds > 0 else f"in {span}"
