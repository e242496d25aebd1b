"""A scan's result, and that of a candidate that no detector but the inspector's looked at."""

from dataclasses import dataclass

from gate.check.bundle.compose import Bundle
from gate.check.evidence import HashedFolder, ScanRequest, evidence_of
from gate.check.worker_results import expected_detectors
from gate.check.workers import Seen, Workers
from gate.formats.carried import Carried
from gate.judging.judge import on_bytes
from gate.policies.declared import before_loading
from gate.records.activity import doing
from gate.records.evidence import Evidence, Outcome, Skipped
from gate.records.finding import Finding


@dataclass(frozen=True)
class Scanned:
    """A scan's evidence, triggers' file, and bundle, which is in the private copy until `write_scanned` moves it."""

    evidence: Evidence
    triggers: bytes | None = None
    bundle: Bundle | None = None


def not_loaded(request: ScanRequest, inspected: Seen, why: Carried) -> Scanned:
    """Return the evidence of a candidate that was inspected alone."""
    return Scanned(evidence_of(request, refused(request, inspected, why).result))


def refused(request: ScanRequest, inspected: Seen, why: Carried) -> Seen:
    """Return the inspector's result with every other detector skipped for that reason, and the advice once."""
    skipped: dict[str, Outcome] = {
        name: Skipped(reason=f"not loaded: {why.what}"[:2000], options=dict(request.policy.options_of(name)))
        for name in expected_detectors(request.policy, "scan")
    }
    problems = (*inspected.result.problems, why.sentence[:2000])
    outcomes = {**inspected.outcomes, **skipped}
    return Seen(inspected.result.model_copy(update={"outcomes": outcomes, "problems": problems}))


def inspect_bundle(workers: Workers, place: HashedFolder) -> Seen:
    """Return what an inspector says of a bundle."""
    with doing("looking at the bundle's files"):
        return workers.inspect(place)


def against(request: ScanRequest, inspected: Seen, place: HashedFolder) -> Finding | None:
    """Return the first finding on a bundle's bytes that forbids loading it; None without any."""
    return next(on_bytes(evidence_of(request, inspected.result, place), request.policy, before_loading()), None)


def faults_of(request: ScanRequest, inspected: Seen, bundle: Bundle) -> tuple[str, ...]:
    """Return a problem where the inspection of the gate's own bundle finds anything."""
    found = against(request, inspected, bundle.place)
    if found is None and not inspected.result.problems:
        return ()
    what = inspected.result.problems[0] if found is None else found.message
    return (
        f"The bundle that was written does not pass the look at its bytes: {what} "
        "This is a fault of the gate, or of a worker that something took over; report it."[:2000],
    )
