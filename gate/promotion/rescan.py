"""`gate rescan`: production, scanned again by today's policy and compared with its earlier evidence.

The earlier evidence, if it is still there (its digest is signed), is judged by today's policy too: that distinguishes a
stricter policy from other measurements.
"""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gate.attestations.envelope import open_envelope
from gate.attestations.log import Said
from gate.attestations.statement import Statement
from gate.check.adapter_base import AskedBase
from gate.check.check import CheckRequest, check
from gate.check.evidence import ScanSettings
from gate.check.files import EVIDENCE, CheckFiles
from gate.check.rules import Rules
from gate.check.workers import Progress
from gate.judging.judge import judge
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
    """One version in production, with its earlier decision and today's verdict."""

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
    found: dict[ModelRef, tuple[str, ...]] = {}
    for alias, ref in sorted(registry.aliases(request.model).items()):
        if at - _last(registry.facts(ref), request.trust) >= request.older_than:
            found[ref] = (*found.get(ref, ()), alias)
    return found


def _last(facts: VersionFacts, trust: Trust) -> dt.datetime:
    """Return the time of a version's last scan; the earliest time where nothing is signed."""
    signed = open_envelope(facts.tags.get(ATTESTATION_TAG, ""), trust.keys).statement
    times = [signed.predicate.decided_at] if signed else [dt.datetime.min.replace(tzinfo=dt.UTC)]
    words = facts.tags.get(RESCAN_TAG, "").split()
    if len(words) == 2:
        try:
            times.append(dt.datetime.fromisoformat(words[1]))
        except ValueError:
            return times[0]
    return max(times)


def rescan(
    registry: ProductionRegistry, request: Rescan, at: dt.datetime, progress: Progress, tell: Tell
) -> list[Rescanned]:
    """Scan everything that is due; a version that cannot be scanned is recorded, and the others are scanned."""
    CheckFiles.create(request.report_dir)
    done: list[Rescanned] = []
    for ref, aliases in due(registry, request, at).items():
        facts = registry.facts(ref)
        earlier = open_envelope(facts.tags.get(ATTESTATION_TAG, ""), request.trust.keys).statement
        tell(f"scanning {ref} ({', '.join(aliases)}) again")
        try:
            registry.require_marking(ref)
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
    # Without the candidates' bank and the file's lines: the policy may differ here. A bank of adapters stays, since
    # outside it no adapter is examined.
    bank = given.bank if given.bank is not None and given.bank.bank.adapters is not None else None
    rules = Rules(_for_production(given.policy, ref, earlier), given.file, given.samples, bank)
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
