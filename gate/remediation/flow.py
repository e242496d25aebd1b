"""`gate remediate`: from a flagged model to a repaired one that is worth a scan, or a reason why there is none.

The original is never changed, and nothing is approved or marked: the result is a new version without a decision, and
only the gate's own scan of that version decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gate import VERSION
from gate.check.bundle.compose import FOLDER as BUNDLE_FOLDER
from gate.check.bundle.compose import Bundle, put
from gate.check.files import CheckFiles, private_directory, remove
from gate.check.workers import Progress
from gate.jail.interruption import explained
from gate.records.activity import Tell
from gate.records.artifact import ModelRef
from gate.records.clock import now
from gate.records.errors import RegistryError, UsageError
from gate.records.evidence import Location
from gate.records.job import ScanJob
from gate.records.remediation import Attempt, Outcome, RemediationReport, attempt_of
from gate.records.repair import RepairBounds, RepairTask
from gate.registries.contract import ProductionRegistry, Registry
from gate.remediation.attempting import KeptAttempts, run_attempt
from gate.remediation.parents import FOLDER as PARENT_FOLDER
from gate.remediation.parents import Parent, ParentRequest, pull_parent, take_parent
from gate.remediation.plan import Planned, fitting, seeds_of
from gate.remediation.registering import KEY_TAG, bundle_of, register, repair_key
from gate.remediation.suspicion import named_by, neurons_of, statistics_of, suspects_of, training_of
from gate.renderers.remediation import REMEDIATION_RENDERERS

_REFUSED = "What the repair worker left was not accepted: what was found in its bytes forbids loading them."


@dataclass(frozen=True)
class Remediation:
    """A request of `gate remediate`."""

    parent: ParentRequest
    plan: tuple[Planned, ...]
    """Methods in the order of attempts, of which the first that holds is the last."""
    report_dir: Path
    bounds: RepairBounds
    register: bool = True

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of all planned attempts."""
        return seeds_of(self.parent.rules.policy.seed, len(self.plan))


@dataclass(frozen=True)
class Remediated:
    """The result of a remediation."""

    report: RemediationReport | None
    """Report; None where an earlier run has registered the same repair."""
    registered: ModelRef | None = None


def unregistrable(uri: str) -> UsageError:
    """Return the error of a folder whose repair cannot be registered."""
    return UsageError(
        f"{uri} is a folder on disk, where no version can be registered",
        what_to_do="Use --no-register: the repaired bundle is then written to --report-dir alone.",
    )


def remediate(
    registry: Registry, production: ProductionRegistry | None, request: Remediation, progress: Progress, tell: Tell
) -> Remediated:
    """Take the parent, try the methods in turn, and register the repair that holds."""
    uri = request.parent.uri
    if request.register and (production is None or not registry.marks):
        raise unregistrable(uri)
    interrupted = explained(
        "the remediation was interrupted, and nothing was registered",
        f"Run the same command again: finished attempts in {request.report_dir} are reused.",
    )
    with CheckFiles.claim(request.report_dir) as files, interrupted, private_directory() as private:
        ref = registry.resolve(uri)
        if request.register:
            registry.require_marking(ref)  # an account that may not mark it may not add a version either
        own = CheckFiles.create(files.root / PARENT_FOLDER)
        tell(f"pulling {ref}")
        pulled = pull_parent(registry, request.parent, ref, own, private)
        key = repair_key(request.parent, pulled, request.plan, request.bounds)
        if request.register and production is not None and (same := production.find_versions(ref.name, {KEY_TAG: key})):
            return Remediated(None, same[0][0])
        parent = take_parent(request.parent, pulled, own, private, progress, tell)
        request = replace(request, plan=fitting(request.plan, parent.evidence.facts.space))
        report, bundle = _repair(request, parent, files, progress, tell)
        if bundle is None:
            remove(files.root / BUNDLE_FOLDER)  # an earlier run may have left one
        else:
            put(bundle, files, keep=True)
        _write(report, files)
        if bundle is None or not request.register or production is None:
            return Remediated(report)
        tell("registering the repaired model, without a decision")
        made = _registered(production, report, bundle, key)
    report = report.model_copy(update={"registered": made, "commands": (parent.check_command(str(made), mark=True),)})
    _write(report, files)
    return Remediated(report, made)


def _registered(production: ProductionRegistry, report: RemediationReport, bundle: Bundle, key: str) -> ModelRef:
    """Register the repair; an error of the registry says that the written repair is kept."""
    try:
        return register(production, report, bundle, key)
    except RegistryError as error:
        raise RegistryError(
            f"the repaired model is written and not registered: {error}",
            what_to_do=f"Run the same command again: finished attempts are reused. {error.what_to_do}",
        ) from None


def _repair(
    request: Remediation, parent: Parent, files: CheckFiles, progress: Progress, tell: Tell
) -> tuple[RemediationReport, Bundle | None]:
    """Try the methods, and return the report and the inspected bundle of the attempt that holds."""
    suspects = suspects_of(parent.evidence, parent.verdict)
    if not suspects:
        first = parent.verdict.open_findings[0].message if parent.verdict.open_findings else "nothing was found"
        raise UsageError(
            f"the scan of {parent.ref} names no class or pair, so that no repair could be measured: {first[:300]}",
            what_to_do="Remove what the findings name and check again; a repair needs a suspect class.",
        )
    attempts, model = _try(request, parent, suspects, files, progress, tell)
    bundle = None
    if model is not None:
        bundle, why = bundle_of(parent, attempts, model, request.seeds, progress)
        if bundle is None:
            attempts[-1] = attempts[-1].model_copy(update={"broken": (f"{_REFUSED}: {why}"[:2000],)})
    planned = tuple(one.method for one in request.plan)
    report = _report_of(parent, suspects, attempts, request.bounds, planned)
    if bundle is None:
        return report, None
    folder = str(request.report_dir / BUNDLE_FOLDER)
    update = {"bundle_digest": bundle.manifest.digest, "commands": (parent.check_command(folder, mark=False),)}
    return report.model_copy(update=update), bundle


def _try(
    request: Remediation,
    parent: Parent,
    suspects: tuple[Location, ...],
    files: CheckFiles,
    progress: Progress,
    tell: Tell,
) -> tuple[list[Attempt], bytes | None]:
    """Make attempts until one holds; return those that were made, and the program of the one that holds."""
    attempts: list[Attempt] = []
    kept = KeptAttempts(files)
    for number, (planned, seed) in enumerate(zip(request.plan, request.seeds, strict=True), start=1):
        tell(f"attempt {number} of at most {len(request.plan)}: {planned.method}")
        job = _job(parent, planned, seed, suspects)
        attempted = kept.earlier(job)
        if attempted is None:
            attempted = run_attempt(job, progress)
            kept.keep(job, attempted)
        else:
            tell(f"{planned.method} was finished before; its attempt is reused")
        attempt = attempt_of(attempted.result, suspects, request.bounds)
        attempts.append(attempt)
        if not attempt.broken:
            tell(f"{planned.method} holds by its own measures")
            return attempts, attempted.model
        tell(f"{planned.method} does not hold: {attempt.broken[0]}")
    return attempts, None


def _job(parent: Parent, planned: Planned, seed: int, suspects: tuple[Location, ...]) -> ScanJob:
    task = RepairTask(
        method=planned.method,
        options=planned.options,
        suspects=suspects,
        named_by=named_by(parent.evidence, parent.verdict, suspects),
        triggers_path=str(parent.triggers) if parent.triggers else None,
        triggers_sha256=parent.triggers_sha256,
    )
    return parent.job(seed, task)


def _write(report: RemediationReport, files: CheckFiles) -> None:
    for name, render in REMEDIATION_RENDERERS.items():
        files.write(name, render(report))


def _report_of(
    parent: Parent,
    suspects: tuple[Location, ...],
    attempts: Sequence[Attempt],
    bounds: RepairBounds,
    planned: tuple[str, ...],
) -> RemediationReport:
    policy, samples, verdict = parent.request.rules.policy, parent.pulled.samples, parent.verdict
    assert samples is not None
    return RemediationReport(
        gate_version=VERSION,
        made_at=now(),
        uri=parent.request.uri,
        parent=parent.ref,
        parent_digest=parent.pulled.digest,
        evidence_digest=parent.evidence.digest,
        policy=f"{policy.name}@{policy.digest}",
        level=policy.level,
        samples=samples.source[:2000],
        samples_sha256=samples.sha256,
        bounds=bounds,
        suspects=suspects,
        findings=tuple(f"{f.rule}: {f.message}"[:2000] for f in verdict.open_findings[:50]),
        named=statistics_of(parent.evidence, suspects),
        neurons=neurons_of(parent.evidence),
        training=training_of(parent.evidence, verdict),
        pictures=tuple(picture for picture in parent.evidence.pictures if picture.location in suspects),
        planned=planned,
        seeds=seeds_of(policy.seed, len(planned)),
        attempts=tuple(attempts),
        outcome=_outcome(attempts),
    )


def _outcome(attempts: Sequence[Attempt]) -> Outcome:
    if any(not attempt.broken for attempt in attempts):
        return "repaired"
    if all(attempt.result.status == "does-not-fit" for attempt in attempts):
        return "does-not-fit"
    return "none-holds"
