"""The last step: log the reports in a run of the gate's own, and mark the version.

Fail-closed in order: the version is flagged first, and `gate.decision: approved` is the very last tag that is set, so
that a failure between report and mark leaves the version not approved. Doing it twice changes nothing.
"""

import datetime as dt
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from gate.check_files import EVIDENCE, REPORT, VERDICT, CheckFiles
from gate.errors import UsageError
from gate.evidence import Evidence
from gate.registry import Registry
from gate.report import Report
from gate.verdict import Decision, Verdict, judge
from gate.version import VERSION

LOGGED = (EVIDENCE, VERDICT, "manifest.json", REPORT, "report.md", "report.html")
_TAG_LIMIT = 5000


def publish(registry: Registry, files: CheckFiles) -> tuple[Verdict, str]:
    """Mark the version that the check's files are about; return the verdict and where the reports lie."""
    verdict, evidence, report = files.verdict(), files.evidence(), files.report()
    _require_consistent(verdict, evidence, report)
    registry.mark(evidence.model, {"gate.decision": Decision.FLAGGED.value})
    where = log_reports(registry, files, evidence, verdict)
    registry.mark(evidence.model, tags(verdict, report, where))
    return verdict, where


def _require_consistent(verdict: Verdict, evidence: Evidence, report: Report) -> None:
    """Refuse files that do not belong together: another evidence, policy or model than the verdict is about."""
    day = report.checked_at[:10]
    again = judge(evidence, report.policy, on=_date(day))
    if again != verdict or report.verdict != verdict or report.error:
        raise UsageError(
            "verdict.json, evidence.json and report.json do not belong together; nothing was marked",
            what_to_do="Run `gate judge` on this directory again.",
        )


def _date(day: str) -> dt.date:
    return dt.date.fromisoformat(day)


def log_reports(registry: Registry, files: CheckFiles, evidence: Evidence, verdict: Verdict) -> str:
    """Store the report files under a key made of evidence and policy, so that a second time finds the first."""
    key = f"{verdict.evidence_digest[7:39]}{verdict.policy_digest[7:39]}"
    with tempfile.TemporaryDirectory(prefix="gate-report-") as folder:
        for name in LOGGED:
            shutil.copyfile(files.root / name, Path(folder) / name)
        return registry.log_reports(evidence.model, Path(folder), key)


def tags(verdict: Verdict, report: Report, where: str) -> Mapping[str, str]:
    """Return the tags of docs/contracts.md section 9 that exist before signing, the decision last."""
    values = {
        "gate.model_digest": verdict.model_digest,
        **({"gate.bundle_digest": verdict.bundle_digest} if verdict.bundle_digest else {}),
        "gate.policy": f"{verdict.policy_name}@{verdict.policy_digest}",
        "gate.evidence_digest": verdict.evidence_digest,
        "gate.report": where,
        "gate.checked_at": report.checked_at,
        "gate.version": VERSION,
        "gate.decision": verdict.decision.value,
    }
    return {key: value[:_TAG_LIMIT] for key, value in values.items()}
