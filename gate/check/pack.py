"""`gate evidence pack`: what an auditor asks for about one decision, in one archive with the same bytes each time.

For the EU AI Act, Article 15(5): measures to prevent, detect, respond to, resolve and control for attacks that poison
data or models. The archive says what was done and what is missing; that it suffices is for a person to judge.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gate import VERSION
from gate.attestations.envelope import claimed
from gate.attestations.log import Entry, ReviewLog
from gate.attestations.statement import Predicate, Review
from gate.check.files import ATTESTATION, BESIDE, COMMITMENT, EVIDENCE, MANIFEST, REPORT, VERDICT, CheckFiles
from gate.check.publish import require_consistent
from gate.judging.threat_rates import DATA as RATES
from gate.records.errors import UsageError
from gate.records.finding import Decision
from gate.records.record import MalformedError, read_bounded
from gate.records.report import Report
from gate.records.verdict import Verdict
from gate.renderers.escape import code, escape_markdown

BOM = "report.cdx.json"
_FROM_CHECK = (
    ATTESTATION, COMMITMENT, *BESIDE, VERDICT, EVIDENCE, MANIFEST, REPORT, "report.html", "report.md", BOM,
)  # fmt: skip
_DAY = (1980, 1, 1, 0, 0, 0)
"""Time of every member, so that the same content has the same bytes."""
_INDEX: Mapping[str, tuple[str, str]] = {
    "policy.json": ("prevent", "what a model must keep before it is promoted, each limit with its source"),
    COMMITMENT: ("prevent", "the policy, bound and signed before the scan"),
    EVIDENCE: ("detect", "everything that was measured"),
    VERDICT: ("detect", "the decision, its findings, and what is said of each threat"),
    "rates.json": ("detect", "how often such threats are found in the gate's own zoo, and clean models flagged"),
    ATTESTATION: ("detect", "the signed decision, with every detector, limit and threat"),
    "eval-result.json": ("detect", "each limit as a claim for other tools"),
    "vsa.json": ("control", "the SLSA verification summary"),
    "model.sig": ("control", "the OpenSSF signature over the approved bundle's files"),
    BOM: ("control", "the CycloneDX bill of materials, with claims and pedigree"),
    "bom.dsse.json": ("control", "the same bill, signed"),
    "waivers.json": ("respond", "findings that a person accepted, with reason and day of expiry"),
    "log.jsonl": ("respond, resolve", "commitments, reviews, promotions and re-scans of these bytes"),
    REPORT: ("detect", "the whole report as data"),
    "report.html": ("detect", "the report for people"),
    "report.md": ("detect", "the same as text"),
    MANIFEST: ("control", "the files of the model, with their digests"),
}  # fmt: skip


@dataclass(frozen=True)
class Packed:
    """An archive that was written."""

    members: tuple[str, ...]
    missing: tuple[str, ...]
    """Parts of it that this check has not."""
    sha256: str


def pack(directory: Path, out: Path, log: ReviewLog | None) -> Packed:
    """Write the archive of a check's directory; one without a verdict, or with several, is a `UsageError`."""
    files = CheckFiles(directory.absolute())
    report = files.report()
    if report.verdict is None or report.error:
        raise UsageError(f"the check in {directory} has no verdict", what_to_do="Run `gate check` again.")
    _require_one_decision(files, report, report.verdict)
    found = dict(_members(files, report, log))
    missing = tuple(name for name in _INDEX if name not in found)
    found["README.md"] = _readme(report, _signed(files), found, missing).encode()
    raw = archive(found)
    try:
        out.write_bytes(raw)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror or error}") from None
    return Packed(tuple(sorted(found)), missing, hashlib.sha256(raw).hexdigest())


def archive(members: Mapping[str, bytes]) -> bytes:
    """Return members as an archive whose bytes depend on them alone: sorted, undated, and not compressed."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as made:
        for name, content in sorted(members.items()):
            info = zipfile.ZipInfo(name, _DAY)
            info.create_system, info.external_attr = 3, 0o100644 << 16
            made.writestr(info, content)
    return stream.getvalue()


def _require_one_decision(files: CheckFiles, report: Report, verdict: Verdict) -> None:
    """Refuse parts of several decisions: the index states one of them, beside what another one signed.

    Evidence is judged again only where this gate judged it: another version's limits may differ.
    """
    there = {name for name in (VERDICT, EVIDENCE, ATTESTATION) if (files.root / name).exists()}
    if {VERDICT, EVIDENCE} <= there and report.gate_version == VERSION:
        require_consistent(files.verdict(), files.evidence(), report, "nothing was packed")
    faults = [
        *([VERDICT] if VERDICT in there and files.verdict() != verdict else []),
        *([EVIDENCE] if EVIDENCE in there and files.evidence().digest != verdict.evidence_digest else []),
        *([ATTESTATION] if ATTESTATION in there and not _signs(files, verdict, report.decision) else []),
    ]
    if faults or report.policy.digest != verdict.policy_digest:
        raise UsageError(
            f"{faults[0] if faults else 'the policy'} does not belong to the verdict in report.json "
            f"({report.decision.value}, by policy {verdict.policy_name}); nothing was packed",
            what_to_do="Sign what was judged last with `gate publish`, or judge again by the policy that was signed; "
            "after a review, `gate check` again.",
        )


def _signed(files: CheckFiles) -> Predicate | None:
    """Return what the signed decision claims, whose signature nothing checks here; None where there is none."""
    try:
        statement = claimed(read_bounded(files.root / ATTESTATION, limit=100_001).decode(errors="replace"))
    except (MalformedError, OSError):
        return None
    return statement.predicate if statement is not None else None


def _signs(files: CheckFiles, verdict: Verdict, decision: Decision) -> bool:
    """Tell whether the signed decision claims this verdict, and the reports' decision or reviewers' approval of it."""
    said = _signed(files)
    if said is None:
        return False
    digests = (said.model_digest, said.bundle_digest, said.policy_digest, said.evidence_digest)
    own = (verdict.model_digest, verdict.bundle_digest, verdict.policy_digest, verdict.evidence_digest)
    approved = said.review is not None and said.decision is Decision.APPROVED
    return digests == own and (approved or said.decision is decision)


def _members(files: CheckFiles, report: Report, log: ReviewLog | None) -> Iterator[tuple[str, bytes]]:
    for name in _FROM_CHECK:
        with suppress(MalformedError, OSError):
            yield name, read_bounded(files.root / name)
    yield "policy.json", report.policy.pretty_json().encode()
    yield "rates.json", RATES.read_bytes()
    waivers = [waiver.model_dump(mode="json", by_alias=True) for waiver in report.policy.waivers]
    yield "waivers.json", (json.dumps(waivers, indent=2, sort_keys=True) + "\n").encode()
    if log is not None:
        yield "log.jsonl", b"".join(entry.canonical_json() + b"\n" for entry in _entries(log, report))


def _entries(log: ReviewLog, report: Report) -> Iterator[Entry]:
    """Yield the log's lines about these bytes: of the candidate, and of the bundle, under which production runs."""
    verdict = report.verdict
    assert verdict is not None
    found = log.read()
    if found.faults:
        raise UsageError(f"the review log {log.path} is damaged: {found.faults[0]}")
    about = {verdict.model_digest, verdict.bundle_digest}
    yield from (entry for entry in found.entries if entry.digest in about)


def _readme(report: Report, signed: Predicate | None, found: Mapping[str, bytes], missing: tuple[str, ...]) -> str:
    verdict = report.verdict
    assert verdict is not None
    policy = f"{code(verdict.policy_name, 100)} {code(verdict.policy_digest)}"
    checked = f"checked at {report.checked_at} by gate {escape_markdown(report.gate_version)}"
    lines = [
        f"# Evidence on {code(str(report.model or report.uri), 300)}",
        "",
        f"Decision: **{(signed or report).decision.value}**, by policy {policy}, {checked}.",
        "",
        *_reviewed(signed.review if signed else None),
        "For the EU AI Act, Article 15(5): measures to prevent, detect, respond to, resolve and control for attacks",
        "that poison data or models. Not detected is not absent: `rates.json` says how often such a threat is found.",
        "Whether this suffices is for a person to judge.",
        "",
        "| file | for | what it is | sha256 |",
        "| --- | --- | --- | --- |",
    ]
    for name, (purpose, what) in _INDEX.items():
        digest = hashlib.sha256(found[name]).hexdigest() if name in found else "missing"
        lines.append(f"| `{name}` | {purpose} | {what} | {digest} |")
    if missing:
        lines += ["", f"Missing: {', '.join(missing)}. {_WHY}"]
    return "\n".join([*lines, ""])


def _reviewed(review: Review | None) -> Iterator[str]:
    """Yield what reviewers said of the bytes, who and when, as was signed."""
    for voice in review.voices if review else ():
        said = f"{voice.reviewer} {voice.outcome} these bytes on {voice.at:%Y-%m-%d}: {voice.reason}"
        yield f"- {escape_markdown(said)}"
    if review:
        yield ""


_WHY = (
    "Signed files need `--signing-key`, the signature over a bundle an approval and `--model-signing-key`, the log "
    "`--audit-log`."
)
