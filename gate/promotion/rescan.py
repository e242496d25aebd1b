"""`gate rescan`: production, scanned again by today's policy and compared with its earlier evidence.

The earlier evidence, if it is still there (its digest is signed), is judged by today's policy too: that distinguishes a
stricter policy from other measurements.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gate.attestations.envelope import open_envelope
from gate.attestations.log import ReviewLog, Said
from gate.attestations.statement import Statement
from gate.check.base_model import AskedBase
from gate.check.check import CheckRequest, check
from gate.check.evidence import ScanSettings
from gate.check.files import EVIDENCE, CheckFiles
from gate.check.pull import digest_now
from gate.check.rules import Rules
from gate.check.workers import Progress
from gate.judging.judge import judge
from gate.promotion.fleet.choose import behind_aliases
from gate.promotion.reading import kept_record
from gate.promotion.verification import ATTESTATION_TAG, Trust
from gate.records.activity import Tell
from gate.records.artifact import ModelRef
from gate.records.clock import today
from gate.records.errors import CannotFinishError
from gate.records.evidence import Evidence
from gate.records.finding import Decision
from gate.records.policy import Policy
from gate.records.verdict import Verdict
from gate.registries.contract import ProductionRegistry, VersionFacts

RESCAN_TAG = "gate.rescan"
Cause = Literal["", "policy", "measurements", "unknown"]


@dataclass(frozen=True)
class Rescan:
    """What to scan again, and how."""

    model: str
    older_than: dt.timedelta
    rules: Rules
    settings: ScanSettings
    trust: Trust
    report_dir: Path
    base: AskedBase | None = None
    """Base of an adapter."""


@dataclass(frozen=True)
class Rescanned:
    """One version in production, with the signed approval of its bytes and today's verdict."""

    ref: ModelRef
    aliases: tuple[str, ...]
    earlier: Statement | None
    verdict: Verdict | None
    """Today's verdict; None where the scan could not finish."""
    cause: Cause = ""
    """Reason for a flag today: policy, other measurements, or unknown without the earlier evidence."""
    error: str = ""
    """Reason why it could not be scanned, or beside a verdict why that could not be marked."""

    @property
    def would_be_flagged(self) -> bool:
        """Whether a once-approved version would be flagged today."""
        return self.verdict is not None and self.verdict.decision is Decision.FLAGGED


def due(registry: ProductionRegistry, request: Rescan, at: dt.datetime) -> dict[ModelRef, tuple[str, ...]]:
    """Return the versions behind an alias whose last scan is older than asked for, with their aliases."""
    behind = behind_aliases(registry, request.model)
    log = request.trust.log
    logged = _logged(log) if log is not None else None
    return {ref: aliases for ref, aliases in behind.items() if _is_due(registry, request, ref, logged, at)}


def _is_due(
    registry: ProductionRegistry,
    request: Rescan,
    ref: ModelRef,
    logged: Mapping[ModelRef, dt.datetime] | None,
    at: dt.datetime,
) -> bool:
    """Tell whether neither a re-scan nor an approval of these bytes is recent; a time to come counts for nothing."""

    def recent(time: dt.datetime | None) -> bool:
        return time is not None and time <= at and at - time < request.older_than

    facts = registry.facts(ref)
    if recent(logged.get(ref) if logged is not None else _tagged(facts)):
        return False
    claimed = open_envelope(facts.tags.get(ATTESTATION_TAG, ""), request.trust.keys).statement
    if claimed is None or not recent(claimed.predicate.decided_at):
        return True
    try:
        return _approval(registry, ref, facts, request.trust) is None
    except CannotFinishError:
        return True  # the scan says why it cannot be had


def _logged(log: ReviewLog) -> Mapping[ModelRef, dt.datetime]:
    """Return the time of each version's last re-scan; a log that is yet to be made knows none."""
    if not log.path.exists():
        return {}
    found = log.read()
    if found.faults:
        raise CannotFinishError(f"the review log {log.path} is damaged: {found.faults[0]}")
    return {entry.model: entry.at for entry in found.entries if entry.event == "rescan"}


def _tagged(facts: VersionFacts) -> dt.datetime | None:
    """Return the time of the last re-scan by its tag, which whoever may edit the version can set."""
    words = facts.tags.get(RESCAN_TAG, "").split()
    try:
        time = dt.datetime.fromisoformat(words[1]) if len(words) == 2 else None
    except ValueError:
        return None
    return time if time is not None and time.tzinfo is not None else None


def _approval(registry: ProductionRegistry, ref: ModelRef, facts: VersionFacts, trust: Trust) -> Statement | None:
    """Return the signed approval of a version's own bytes, of any age; another decision in its tag is none."""
    statement = open_envelope(facts.tags.get(ATTESTATION_TAG, ""), trust.keys).statement
    if statement is None or statement.predicate.decision is not Decision.APPROVED:
        return None
    return statement if digest_now(registry, ref, trust.download, trust.stores) in statement.covered_digests else None


def rescan(
    registry: ProductionRegistry, request: Rescan, at: dt.datetime, progress: Progress, tell: Tell
) -> list[Rescanned]:
    """Scan everything that is due; a version that cannot be scanned is recorded, and the others are scanned."""
    CheckFiles.create(request.report_dir)
    done: list[Rescanned] = []
    for ref, aliases in due(registry, request, at).items():
        facts, earlier = registry.facts(ref), None
        tell(f"scanning {ref} ({', '.join(aliases)}) again")
        try:
            registry.require_marking(ref)
            earlier = _approval(registry, ref, facts, request.trust)
            verdict = _scan(registry, request, ref, earlier, progress, tell)
        except CannotFinishError as error:
            done.append(Rescanned(ref, aliases, earlier, None, error=str(error)))
            continue
        cause: Cause = ""
        if verdict.decision is Decision.FLAGGED:
            cause = _cause(registry, request.rules.policy, facts, earlier)
        if request.trust.log is not None:
            reason = f"{request.rules.policy.name}: {cause or 'as before'}"
            entry = Said("rescan", ref, verdict.model_digest, verdict.decision.value, reason=reason)
            request.trust.log.append(entry, at)
        unmarked = ""
        try:
            registry.mark(ref, {RESCAN_TAG: f"{verdict.decision.value} {at:%Y-%m-%dT%H:%M:%S%z}"})
        except CannotFinishError as error:
            unmarked = str(error)
        done.append(Rescanned(ref, aliases, earlier, verdict, cause, unmarked))
    return done


def _scan(
    registry: ProductionRegistry,
    request: Rescan,
    ref: ModelRef,
    earlier: Statement | None,
    progress: Progress,
    tell: Tell,
) -> Verdict:
    given, to = request.rules, request.report_dir / f"{ref.name}-{ref.version}"
    # With the candidates' bank, to compare like with like; without the file's lines, since the policy may differ here.
    rules = Rules(_for_production(given.policy, ref, earlier), given.file, given.samples, given.bank)
    asked = CheckRequest(str(ref), rules, request.settings, to, mark=False, base=request.base)
    verdict = check(registry, asked, progress, tell).report.verdict
    assert verdict is not None
    return verdict


def _for_production(policy: Policy, ref: ModelRef, earlier: Statement | None) -> Policy:
    """Return the policy with the samples of the production model's candidate."""
    models = policy.samples.models
    origin = earlier.predicate.model.name if earlier else ref.name
    if ref.name in models or origin not in models:
        return policy
    samples = policy.samples.model_copy(update={"models": {**models, ref.name: models[origin]}})
    return policy.model_copy(update={"samples": samples})


def _cause(registry: ProductionRegistry, policy: Policy, facts: VersionFacts, earlier: Statement | None) -> Cause:
    if earlier is None:
        return "unknown"
    where = facts.tags.get("gate.report", "")
    evidence = kept_record(registry.allowing(policy.artifact_stores), where, EVIDENCE, Evidence)
    if evidence is None or evidence.digest != earlier.predicate.evidence_digest:
        return "unknown"
    then = judge(evidence, policy, on=today())
    return "policy" if then.decision is Decision.FLAGGED else "measurements"
