"""The last step: sign the decision where there is a key, log the reports in a run of the gate's own, mark the version.

The order fails closed: a flagged version is marked, and its earlier attestation withdrawn, first; an approval replaces
the earlier tags only when bundle and reports are kept, and `gate.decision: approved` is the last tag that is set. A
signed decision is in the review log before it is anywhere else. Publishing is idempotent.
"""

import datetime as dt
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from gate import VERSION
from gate.attestations.envelope import UNSIGNED, claimed, earlier_decision, open_envelope, sign
from gate.attestations.keys import SigningKey
from gate.attestations.log import Audit, Entry, Said, newest_decision
from gate.attestations.reviewing import carrying
from gate.attestations.standing import digests_of, rejections
from gate.attestations.statement import Predicate, Statement, scan_statement
from gate.check.beside import remove_beside, write_beside
from gate.check.bundle.compose import FOLDER as BUNDLE_FOLDER
from gate.check.commit import commitment_of
from gate.check.files import ATTESTATION, BESIDE, COMMITMENT, EVIDENCE, REPORT, VERDICT, CheckFiles
from gate.check.report import as_signed, write_reports
from gate.check.signing import Signing
from gate.jail.inert import inert_line
from gate.judging.judge import judge
from gate.records.activity import Tell
from gate.records.artifact import EVERY_FILE, ModelRef, build_manifest
from gate.records.clock import today
from gate.records.errors import CannotFinishError, UsageError
from gate.records.evidence import Evidence
from gate.records.finding import Decision
from gate.records.report import Rejection, Report
from gate.records.verdict import Verdict
from gate.registries.contract import Registry
from gate.renderers import RENDERERS

LOGGED = (EVIDENCE, VERDICT, "manifest.json", REPORT, "report.md", "report.html", "report.cdx.json")
SIGNED = (COMMITMENT, ATTESTATION, *BESIDE)
"""Files that exist where there is a key."""
WITHDRAWN = {"gate.attestation": UNSIGNED, "gate.decision": Decision.FLAGGED.value}
"""Tags of a version while nothing is decided: an earlier signed approval may not outlive a new check."""
_SKEW = dt.timedelta(minutes=5)
"""Tolerated difference between clocks."""


def publish(
    registry: Registry, files: CheckFiles, signing: Signing | None = None, tell: Tell = lambda _line: None
) -> tuple[Verdict, str]:
    """Mark the version of the check's files; return verdict and reports' URI; tell of a change before a failure.

    The verdict is flagged, and told to be, where a reviewer's rejection of the same bytes stands in the log; it is then
    written into the reports too.
    """
    verdict, evidence, report = files.verdict(), files.evidence(), files.report()
    require_consistent(verdict, evidence, report)
    _require_bundle(files, verdict)
    registry = registry.allowing(report.policy.artifact_stores)
    _require_newest(registry, evidence, report, signing)
    attestation = attest(files, evidence, verdict, report, signing)
    signed = as_signed(report, _rejections(claimed(attestation)))
    if signed != report:
        write_reports(signed, files)
    verdict = _as_signed(verdict, attestation, tell)
    withdrawn = verdict.decision is Decision.FLAGGED
    if withdrawn:
        registry.mark(evidence.model, WITHDRAWN)
    try:
        where = _store(registry, files, evidence, verdict, signed)
        if not withdrawn:
            registry.mark(evidence.model, WITHDRAWN)
            withdrawn = True
        registry.mark(evidence.model, tags(verdict, signed, where, attestation))
    except BaseException:
        if withdrawn:
            tell(f"marked {evidence.model} {Decision.FLAGGED.value}: its verdict is not published whole yet")
        raise
    if report.policy.retention is not None:
        # The version is marked; the next check deletes what remains.
        with suppress(CannotFinishError):
            registry.drop_bundles(today() - dt.timedelta(days=report.policy.retention.bundles))
    return verdict, where


def _store(registry: Registry, files: CheckFiles, evidence: Evidence, verdict: Verdict, report: Report) -> str:
    if verdict.bundle_digest is not None:
        # Only these bytes can be promoted.
        kept = report.policy.retention
        registry.keep_bundle(files.root / BUNDLE_FOLDER, verdict.bundle_digest, kept.bundles if kept else None)
    return log_reports(registry, files, evidence, verdict)


def withdraw(registry: Registry, ref: ModelRef, why: str, tell: Tell, digest: str | None = None) -> None:
    """Mark a version that could not be judged flagged, unless it has a signed decision on its bytes; say which.

    `digest` is that of the bytes, where known. A run that judged nothing does not overrule a signed decision.
    """
    earlier = earlier_decision(registry.facts(ref).tags.get("gate.attestation", ""))
    if earlier is not None and earlier.is_about(digest):
        tell(f"{ref} keeps its signed decision: {earlier.word}")
        return
    registry.mark(ref, WITHDRAWN)
    tell(f"marked {ref} {Decision.FLAGGED.value}: {why}")


def attest(files: CheckFiles, evidence: Evidence, verdict: Verdict, report: Report, signing: Signing | None) -> str:
    """Sign the decision, log it, write `attestation.json` and return its text; without a key, return `unsigned`."""
    if signing is None:
        (files.root / ATTESTATION).unlink(missing_ok=True)
        remove_beside(files)
        return UNSIGNED
    at = dt.datetime.fromisoformat(report.checked_at)
    if at > dt.datetime.now(dt.UTC) + _SKEW:
        raise UsageError(
            f"the check is dated in the future, {report.checked_at}; nothing was signed",
            what_to_do="Set the clocks right and run `gate judge` on this directory again.",
        )
    commitment = commitment_of(files, evidence, signing)
    scanned = scan_statement(evidence, verdict, report.policy, at=at, commitment=commitment)
    _require_unexpired(scanned)
    statement, envelope = scanned, sign(scanned, signing.key)
    if signing.log is not None:
        rules = report.policy.reviewers
        enter = partial(_entered, scanned, signing.key, rules.approvals if rules else 1)
        envelope = signing.log.append(enter, dt.datetime.now(dt.UTC)).envelope
        statement = claimed(envelope) or scanned
    files.write(ATTESTATION, envelope + "\n")
    bill = RENDERERS["cyclonedx"][1](as_signed(report, _rejections(statement)))
    write_beside(files, statement, envelope, evidence, signing, bill)
    return envelope


def _entered(scanned: Statement, key: SigningKey, needed: int, log: Audit) -> Said | Entry:
    """Return the line of a scan's decision, with rejections of the same bytes; an entry that says it already.

    A later decision may have come since the registry and the log were asked.
    """
    said = scanned.predicate
    newest = newest_decision(log.entries, said.model, said.model_digest)
    _require_none_later((claimed(newest.envelope),) if newest else (), said.model, said.decided_at)
    statement = carrying(scanned, rejections(log.entries, digests_of(said)), needed=needed)
    before = open_envelope(newest.envelope, (key.public,)).statement if newest else None
    if newest is not None and before is not None and before.after(None) == statement:
        return newest
    envelope = sign(statement.after(log.head), key)
    return Said("scan", said.model, said.model_digest, statement.predicate.decision.value, envelope)


def _rejections(statement: Statement | None) -> tuple[Rejection, ...]:
    """Return the rejections in what was signed of a scan."""
    review = statement.predicate.review if statement is not None else None
    voices = review.voices if review is not None else ()
    return tuple(Rejection(reviewer=v.reviewer, reason=v.reason, at=v.at) for v in voices if v.outcome == "rejected")


def _as_signed(verdict: Verdict, attestation: str, tell: Tell) -> Verdict:
    """Return the verdict with the decision that was signed, which a reviewer's rejection keeps flagged."""
    statement = claimed(attestation)
    if statement is None or statement.predicate.decision is verdict.decision:
        return verdict
    said = statement.predicate
    for voice in said.review.voices if said.review else ():
        tell(
            f"{said.model} stays {said.decision.value}: {inert_line(voice.reviewer, limit=200)} {voice.outcome} these "
            f"bytes on {voice.at:%Y-%m-%d}: {inert_line(voice.reason, limit=300)}"
        )
    return verdict.model_copy(update={"decision": said.decision})


def _require_unexpired(statement: Statement) -> None:
    ends = statement.predicate.expires_at
    if dt.datetime.now(dt.UTC) >= ends:
        because = " with a waiver that it rests on" if ends == statement.predicate.waived_until else ""
        raise UsageError(
            f"the decision of this check ended{because} on {ends:%Y-%m-%d %H:%M} UTC; nothing was signed",
            what_to_do="To decide anew, run `gate check` again.",
        )


def _require_newest(registry: Registry, evidence: Evidence, report: Report, signing: Signing | None) -> None:
    """Refuse to replace a later decision that the same key signed, a review or a check, by an older check.

    Decisions of other keys do not count: an account that may set tags could keep a version from being flagged. The
    log counts beside the tag: it holds a decision that was removed from a version.
    """
    if signing is None:
        return
    attestation = registry.facts(evidence.model).tags.get("gate.attestation", "")
    standing = [open_envelope(attestation, (signing.key.public,)).statement]
    logged = signing.log.newest(evidence.model, evidence.manifest_digest) if signing.log is not None else None
    standing += [claimed(logged.envelope)] if logged is not None else []
    _require_none_later(standing, evidence.model, dt.datetime.fromisoformat(report.checked_at))


def _require_none_later(standing: Iterable[Statement | None], model: ModelRef, at: dt.datetime) -> None:
    for said in (statement.predicate for statement in standing if statement is not None):
        if said.model == model and at < said.decided_at <= dt.datetime.now(dt.UTC) + _SKEW:
            raise UsageError(
                f"{model} has a later signed decision, of {said.decided_at:%Y-%m-%d %H:%M:%S}, than this check of "
                f"{at:%Y-%m-%d %H:%M:%S}; nothing was marked",
                what_to_do="To decide anew, run `gate check` again.",
            )


def _require_bundle(files: CheckFiles, verdict: Verdict) -> None:
    if verdict.bundle_digest is None:
        return
    found, problems = build_manifest(files.root / BUNDLE_FOLDER, ignored=EVERY_FILE)
    if problems or found.digest != verdict.bundle_digest:
        raise UsageError(
            f"the bundle in {files.root / BUNDLE_FOLDER} is not the one that the verdict covers: expected "
            f"{verdict.bundle_digest}, got {found.digest}; nothing was marked",
            what_to_do="Run `gate scan` and `gate judge` on this directory again.",
        )


def require_consistent(verdict: Verdict, evidence: Evidence, report: Report, then: str = "nothing was marked") -> None:
    """Refuse files that do not belong together: evidence, policy or model other than the verdict's."""
    again = judge(evidence, report.policy, on=dt.date.fromisoformat(report.checked_at[:10]))
    if again != verdict or report.verdict != verdict or report.error:
        raise UsageError(
            f"verdict.json, evidence.json and report.json do not belong together; {then}",
            what_to_do="Run `gate judge` on this directory again.",
        )


def log_reports(registry: Registry, files: CheckFiles, evidence: Evidence, verdict: Verdict) -> str:
    """Store the report files under a key made of evidence and policy: a repeated call finds the first run."""
    key = f"{verdict.evidence_digest[7:39]}{verdict.policy_digest[7:39]}"
    with tempfile.TemporaryDirectory(prefix="gate-report-") as folder:
        for name in (*LOGGED, *(one for one in SIGNED if (files.root / one).exists())):
            shutil.copyfile(files.root / name, Path(folder) / name)
        return registry.log_reports(evidence.model, Path(folder), key)


def decision_tags(said: Verdict | Predicate) -> dict[str, str]:
    """Return the tags of what a decision is about."""
    return {
        "gate.model_digest": said.model_digest,
        # Always stated: it replaces an earlier check's.
        "gate.bundle_digest": said.bundle_digest or "none",
        "gate.covers": said.covers or "candidate",
        "gate.policy": f"{said.policy_name}@{said.policy_digest}"[:5000],
        "gate.evidence_digest": said.evidence_digest,
    }


def tags(verdict: Verdict, report: Report, where: str, attestation: str = UNSIGNED) -> Mapping[str, str]:
    """Return the tags of docs/reference/contracts.md section 9, the decision last."""
    values = {
        **decision_tags(verdict),
        "gate.report": where,
        "gate.checked_at": report.checked_at,
        "gate.version": VERSION,
    }
    shown = {key: value[:5000] for key, value in values.items()}
    # An envelope is never cut, which would void it: `sign` refuses one that does not fit.
    return {**shown, "gate.attestation": attestation, "gate.decision": verdict.decision.value}
