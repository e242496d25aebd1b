"""`gate remediate`: from a flagged model to a repaired one that is worth a scan, or a reason why there is none.

The orchestrator's half, without torch. It never touches the original, approves nothing and marks nothing: what comes
out is a new version without a decision, and only the gate's own scan of that version decides.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from gate.check.bundle.compose import FOLDER as BUNDLE_FOLDER
from gate.check.bundle.compose import Bundle, copy
from gate.check.files import CheckFiles, private_directory, remove
from gate.check.workers import Progress
from gate.jail.interruption import explained
from gate.records.activity import Tell
from gate.records.artifact import ModelRef
from gate.records.errors import RegistryError, UsageError
from gate.records.evidence import Location
from gate.records.remediation import Attempt, RemediationReport, attempt_of
from gate.records.repair import RepairBounds, RepairTask
from gate.registries.contract import ProductionRegistry, Registry
from gate.remediation.attempting import Attempted, run_attempt
from gate.remediation.kept import KeptAttempts
from gate.remediation.parents import FOLDER as PARENT_FOLDER
from gate.remediation.parents import Parent, ParentRequest, pull_parent, take_parent
from gate.remediation.plan import Planned, seeds_of
from gate.remediation.registering import Held, bundle_of, find_earlier, register, repair_key
from gate.remediation.reporting import build_report
from gate.remediation.suspicion import named_by, suspects_of
from gate.renderers.remediation import REMEDIATION_RENDERERS

_REFUSED = "What the repair worker left was not accepted: what was found in its bytes forbids loading them."


@dataclass(frozen=True)
class Remediation:
    """What `gate remediate` is asked for."""

    parent: ParentRequest
    plan: tuple[Planned, ...]
    """In the order of attempts; the first that holds ends it."""
    report_dir: Path
    bounds: RepairBounds
    register: bool = True

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of all planned attempts."""
        return seeds_of(self.parent.rules.policy.seed, len(self.plan))


@dataclass(frozen=True)
class Remediated:
    """What became of it."""

    report: RemediationReport | None
    """None where an earlier run had registered the very same."""
    registered: ModelRef | None = None


@dataclass(frozen=True)
class _Listener:
    """Where progress goes."""

    progress: Progress
    tell: Tell


def unregistrable(uri: str) -> UsageError:
    """Return the error of a folder, of which a repaired version was to be registered."""
    return UsageError(
        f"{uri} is a folder on disk, where no version can be registered",
        what_to_do="Use --no-register: the repaired bundle is then written to --report-dir alone.",
    )


def remediate(
    registry: Registry, production: ProductionRegistry | None, request: Remediation, progress: Progress, tell: Tell
) -> Remediated:
    """Take the parent, try the methods in turn, and register what holds; raise what keeps it from being finished."""
    uri = request.parent.uri
    if request.register and (production is None or not registry.marks):
        raise unregistrable(uri)
    with CheckFiles.claim(request.report_dir) as files, _explained(request.report_dir), private_directory() as private:
        ref = registry.resolve(uri)
        if request.register:
            registry.require_marking(ref)  # who may not change the model may not add a version to it either
        own = CheckFiles.create(files.root / PARENT_FOLDER)
        tell(f"pulling {ref}")
        pulled = pull_parent(registry, request.parent, ref, own, private)
        key = repair_key(request.parent, pulled, request.plan, request.bounds)
        if request.register and production is not None and (found := find_earlier(production, ref.name, key)):
            return Remediated(None, found)
        parent = take_parent(request.parent, pulled, own, private, progress, tell)
        report, bundle = _repair(request, parent, files, _Listener(progress, tell))
        _write_bundle(bundle, files)
        _write(report, files)
        if bundle is None or not request.register or production is None:
            return Remediated(report)
        tell("registering the repaired model, without a decision")
        made = _registered(production, report, bundle, key)
    report = report.model_copy(update={"registered": made, "commands": (parent.check_command(str(made), mark=True),)})
    _write(report, files)
    return Remediated(report, made)


def _registered(production: ProductionRegistry, report: RemediationReport, bundle: Bundle, key: str) -> ModelRef:
    """Register what holds; a registry that takes it no longer has not undone the repair."""
    try:
        return register(production, report, bundle, key)
    except RegistryError as error:
        raise RegistryError(
            f"the repaired model is written and not registered: {error}",
            what_to_do=f"Run the same command again: finished attempts are taken up. {error.what_to_do}",
        ) from None


def _explained(report_dir: Path) -> AbstractContextManager[None]:
    """Return what turns an interruption into an error that says what is kept."""
    return explained(
        "the remediation was interrupted, and nothing was registered",
        f"Run the same command again: finished attempts in {report_dir} are taken up.",
    )


def _repair(
    request: Remediation, parent: Parent, files: CheckFiles, told: _Listener
) -> tuple[RemediationReport, Bundle | None]:
    """Try the methods, and return the report and the inspected bundle of the attempt that holds."""
    suspects = suspects_of(parent.evidence, parent.verdict)
    if not suspects:
        first = parent.verdict.open_findings[0].message if parent.verdict.open_findings else "nothing was found"
        raise UsageError(
            f"the scan of {parent.ref} names no class or pair, so that no repair could be measured: {first[:300]}",
            what_to_do="Remove what the findings name and check again; a repair needs a suspect class.",
        )
    attempts, model = _try(request, parent, suspects, files, told)
    bundle = None
    if model is not None:
        used = sorted({name for attempt in attempts for name in attempt.result.used_detectors})
        held = Held(attempts[-1].result, model, request.seeds, tuple(used))
        bundle, why = bundle_of(parent, held, told.progress)
        if bundle is None:
            attempts[-1] = attempts[-1].model_copy(update={"broken": (f"{_REFUSED}: {why}"[:2000],)})
    planned = tuple(one.method for one in request.plan)
    report = build_report(parent, suspects, attempts, request.bounds, planned)
    if bundle is None:
        return report, None
    folder = str(request.report_dir / BUNDLE_FOLDER)
    update = {
        "bundle_digest": bundle.manifest.digest,
        "commands": (parent.check_command(folder, mark=False),),
    }
    return report.model_copy(update=update), bundle


def _try(
    request: Remediation, parent: Parent, suspects: tuple[Location, ...], files: CheckFiles, told: _Listener
) -> tuple[list[Attempt], bytes | None]:
    """Make the attempts in turn until one holds; return all that were made, and the program of the one that holds."""
    attempts: list[Attempt] = []
    kept = KeptAttempts(files)
    for number, (planned, seed) in enumerate(zip(request.plan, request.seeds, strict=True), start=1):
        told.tell(f"attempt {number} of at most {len(request.plan)}: {planned.method}")
        attempted = _attempt(planned, seed, parent, suspects, kept, told)
        attempt = attempt_of(attempted.result, suspects, request.bounds)
        attempts.append(attempt)
        if not attempt.broken:
            told.tell(f"{planned.method} holds by its own measures")
            return attempts, attempted.model
        told.tell(f"{planned.method} does not hold: {attempt.broken[0]}")
    return attempts, None


def _attempt(
    planned: Planned, seed: int, parent: Parent, suspects: tuple[Location, ...], kept: KeptAttempts, told: _Listener
) -> Attempted:
    """Take up a finished attempt, or make it and keep it."""
    task = RepairTask(
        method=planned.method,
        options=planned.options,
        suspects=suspects,
        named_by=named_by(parent.evidence, parent.verdict, suspects),
        triggers_path=str(parent.triggers) if parent.triggers else None,
        triggers_sha256=parent.triggers_sha256,
    )
    job = parent.job(seed, task)
    earlier = kept.earlier(job)
    if earlier is not None:
        told.tell(f"{planned.method} was finished before; its attempt is taken up")
        return earlier
    attempted = run_attempt(job, told.progress)
    kept.keep(job, attempted)
    return attempted


def _write_bundle(bundle: Bundle | None, files: CheckFiles) -> None:
    """Copy the bundle out of the private copy; one that an earlier run left goes in any case."""
    if bundle is None:
        remove(files.root / BUNDLE_FOLDER)
    else:
        copy(bundle, files)


def _write(report: RemediationReport, files: CheckFiles) -> None:
    """Write the report in every format."""
    for name, render in REMEDIATION_RENDERERS.items():
        files.write(name, render(report))
