"""The scan step: hand a pulled copy to workers, one after the other, as far as what they see allows.

The orchestrator's half, without credentials: it imports neither torch nor numpy, and hostile bytes go to workers. The
steps before and after are `gate.check.pull` and `gate.check.report`; `gate.check.check` puts them together for `gate
check`.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path

from gate.check.bundle.compose import FOLDER as BUNDLE_FOLDER
from gate.check.bundle.compose import Bundle, compose, move
from gate.check.bundle.folder import PROGRAM
from gate.check.evidence import HashedFolder, ScanRequest, evidence_of
from gate.check.files import EVIDENCE, CheckFiles, remove
from gate.check.foreseen import announced
from gate.check.resume import Unfinished
from gate.check.worker_results import expected_detectors
from gate.check.workers import Left, Progress, Seen, Workers
from gate.formats.carried import Carried, carried
from gate.judging.judge import forbids_loading, on_bytes
from gate.policies.declared import before_loading
from gate.records.activity import Tell, doing, expect
from gate.records.evidence import Evidence, Outcome, Skipped
from gate.records.finding import Finding
from gate.records.job import CONVERTED_FILE, TRIGGERS_FILE
from gate.records.policy import Policy
from gate.records.provenance import RepairOrigin

_ROOM = ".written"
"""Below the private copy: what converter and writer leave, until it is moved to the check's files."""

_FILES_ONLY = "the policy judges the bytes alone, and behaviour was not examined"


@dataclass(frozen=True)
class Scanned:
    """What a scan yields: the evidence, the triggers' file, and the bundle where one could be written."""

    evidence: Evidence
    triggers: bytes | None = None
    bundle: Bundle | None = None
    """In the private copy, until `write_scanned` moves it."""


def scan_into(files: CheckFiles, request: ScanRequest, progress: Progress, say: Tell = lambda _line: None) -> Evidence:
    """Scan as `scan` does, going on from where an earlier scan was broken off, and write what is found to the files."""
    scanned = scan(replace(request, unfinished=Unfinished(files.root)), progress, say)
    write_scanned(scanned, files)
    return scanned.evidence


def scan(request: ScanRequest, progress: Progress, say: Tell = lambda _line: None) -> Scanned:
    """Inspect the bytes; if they allow it, write the bundle and measure it; with `--allow-code`, convert first.

    `say` is told what the number of classes alone says of the verdict, as soon as it is known.
    """
    remove(request.base / _ROOM)
    expect(_steps(request.policy))
    progress = announced(progress, request.policy, request.bank, say)
    scanned = _scan(Workers(request, progress, time.monotonic() + request.settings.seconds(request.policy)))
    expect(())
    if scanned.bundle is None:
        remove(request.base / _ROOM)
    return scanned


def _scan(workers: Workers) -> Scanned:
    request = workers.request
    inspected = workers.inspect(request.candidate)
    if request.policy.files_only:
        return Scanned(evidence_of(request, inspected.result).model_copy(update={"unbundled": _FILES_ONLY}))
    if request.pulled.problems or inspected.result.facts.unexaminable:
        irregular = "the artifact holds what is no plain file"
        reason = irregular if request.pulled.problems else "no detector examines models of its flavour"
        return _not_loaded(request, inspected, Carried(reason))
    if not forbids_loading(evidence_of(request, inspected.result), request.policy, before_loading()):
        return _measured(workers, inspected)
    if not request.settings.allow_code:
        return _not_loaded(request, inspected, carried(inspected.outcomes))
    to = request.base / _ROOM / CONVERTED_FILE
    converted = workers.run("converter", request.candidate, inspected.outcomes, program_to=to)
    if not converted.result.converted or converted.program is None:
        # The converter ran the candidate's code: whatever it claims, its claim is of level C.
        seen = converted.after(inspected)
        level = None if seen.result.assurance is None else "C"
        return Scanned(evidence_of(request, seen.result.model_copy(update={"assurance": level})), converted.triggers)
    return _converted(workers, inspected, converted, converted.program)


def _steps(policy: Policy) -> tuple[str, ...]:
    """Return the policy's detectors in the order in which workers run them: those of the bytes first."""
    planned = [name for stage in policy.plan() for name in stage.detectors]
    on_files = set(expected_detectors(policy, "inspector"))
    return tuple(sorted(planned, key=lambda name: name not in on_files))


def _inspect_bundle(workers: Workers, place: HashedFolder) -> Seen:
    """Look at the bytes of what a worker wrote, as at a candidate's."""
    with doing("looking at the bundle's files"):
        return workers.inspect(place)


def _against(request: ScanRequest, looked: Seen, place: HashedFolder) -> Finding | None:
    """Return the first thing that stands against the bytes of what a worker wrote, if anything does."""
    return next(on_bytes(evidence_of(request, looked.result, place), request.policy, before_loading()), None)


def write_repaired(
    request: ScanRequest, program: Path, repair: RepairOrigin, progress: Progress
) -> tuple[Bundle | None, str]:
    """Write the bundle of a repaired program and inspect its bytes; return it, or why there is none."""
    workers = Workers(request, progress, time.monotonic() + request.policy.deadline)
    wrote = _write(workers, Left(program, "repaired"), repair)
    if wrote.bundle is None:
        return None, wrote.why
    looked = _inspect_bundle(workers, wrote.bundle.place)
    found = _against(request, looked, wrote.bundle.place)
    return (wrote.bundle, "") if found is None else (None, found.message)


def write_scanned(scanned: Scanned, files: CheckFiles) -> None:
    """Write triggers, bundle and evidence in place of what an earlier scan left.

    Evidence goes first and comes last: wherever this is broken off, all that it speaks of lies beside it.
    """
    for leftover in (files.root / EVIDENCE, files.root / TRIGGERS_FILE, files.root / BUNDLE_FOLDER):
        leftover.unlink(missing_ok=True) if leftover.is_file() or leftover.is_symlink() else remove(leftover)
    if scanned.triggers is not None:
        files.write(TRIGGERS_FILE, scanned.triggers)
    if scanned.bundle is not None:
        move(scanned.bundle, files)
        remove(scanned.bundle.root.parent)
    files.write(EVIDENCE, scanned.evidence.pretty_json())
    Unfinished(files.root).path.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Wrote:
    """What the writer came to: a bundle, or why there is none."""

    seen: Seen
    bundle: Bundle | None = None
    why: str = ""
    broke: bool = False
    """Whether something went wrong; False for a model that no writer can write, which is a reason and no fault."""


def _write(workers: Workers, left: Left | None = None, repair: RepairOrigin | None = None) -> _Wrote:
    """Have the writer write the candidate's program, or what a worker left, and put the bundle together around it."""
    request = workers.request
    folder = request.base / _ROOM / BUNDLE_FOLDER
    wrote = workers.run("writer", request.candidate, left=left, program_to=folder / PROGRAM)
    result = wrote.result
    if not result.complete or result.written is None or wrote.program is None:
        why = " ".join(result.problems) or "the writer left no program."
        # A reason is one that an honest end comes with; whatever else there is without a bundle is a fault.
        return _Wrote(wrote, why=why, broke=not (result.complete and result.written is None and result.problems))
    bundle = compose(folder, result.written, request, repair or request.pulled.repair)
    return _Wrote(wrote, why=bundle, broke=True) if isinstance(bundle, str) else _Wrote(wrote, bundle)


def _measured(workers: Workers, inspected: Seen) -> Scanned:
    """Write the bundle of a candidate that needs none of its own code, and measure it; without one, the candidate."""
    request, wrote = workers.request, _write(workers)
    if wrote.bundle is None:
        measured = workers.run("scan", request.candidate, inspected.outcomes)
        seen = measured.after(inspected).as_safe_as(wrote.seen)
        evidence = evidence_of(request, seen.result)
        problems = (f"No bundle was written: {wrote.why}"[:2000],) if wrote.broke else ()
        noted = {"unbundled": wrote.why[:2000], "problems": (*evidence.problems, *problems)}
        return Scanned(evidence.model_copy(update=noted), measured.triggers)
    place = wrote.bundle.place
    looked = _inspect_bundle(workers, place)
    measured = workers.run("scan", place, inspected.outcomes)
    seen = measured.after(inspected).as_safe_as(wrote.seen, looked)
    evidence = evidence_of(request, seen.result, place, wrote.bundle.facts)
    assert wrote.seen.result.written is not None
    # What was measured is a pt2 in every case; what the candidate is says more.
    facts = evidence.facts.model_copy(update={"format": wrote.seen.result.written.format})
    if faults := _faults(request, looked, wrote.bundle):
        none = {"bundle_digest": None, "bundle": None, "unbundled": faults[0]}
        told = {"facts": facts, "problems": (*evidence.problems, *faults), **none}
        return Scanned(evidence.model_copy(update=told), measured.triggers)
    return Scanned(evidence.model_copy(update={"facts": facts}), measured.triggers, wrote.bundle)


def _faults(request: ScanRequest, looked: Seen, bundle: Bundle) -> tuple[str, ...]:
    """Return a problem where the gate's own look at the bytes of its own bundle finds anything."""
    found = _against(request, looked, bundle.place)
    if found is None and not looked.result.problems:
        return ()
    what = looked.result.problems[0] if found is None else found.message
    return (
        f"The bundle that was written does not pass the look at its bytes: {what} "
        "This is a fault of the gate, or of a worker that something took over; report it."[:2000],
    )


def _converted(workers: Workers, original: Seen, converted: Seen, program: Path) -> Scanned:
    """Write what the converter left anew, since it is hostile; inspect and measure the bundle, which alone counts."""
    request, wrote = workers.request, _write(workers, Left(program, "converted"))
    if wrote.bundle is None:
        reason = f"what the converter left could not be written as a bundle: {wrote.why}"
        return _not_loaded(request, original.as_safe_as(converted, wrote.seen), Carried(reason))
    place = wrote.bundle.place
    inspected = _inspect_bundle(workers, place)
    if _against(request, inspected, place) is not None:
        seen = _refused(request, inspected, Carried("what was found in the converted bundle forbids loading it"))
    else:
        seen = workers.run("scan", place, inspected.outcomes).after(inspected)
    result = seen.as_safe_as(original, converted, wrote.seen).result
    result = result.model_copy(update={"assurance": "B" if result.assurance == "A" else result.assurance})
    evidence = evidence_of(request, result, place, wrote.bundle.facts)
    evidence = evidence.model_copy(update={"original": original.outcomes})
    return Scanned(evidence, seen.triggers, wrote.bundle)


def _not_loaded(request: ScanRequest, inspected: Seen, why: Carried) -> Scanned:
    return Scanned(evidence_of(request, _refused(request, inspected, why).result))


def _refused(request: ScanRequest, inspected: Seen, why: Carried) -> Seen:
    """Return the inspector's result with every other detector skipped for that reason; the advice is said once."""
    skipped: dict[str, Outcome] = {
        name: Skipped(reason=f"not loaded: {why.what}"[:2000], options=dict(request.policy.options_of(name)))
        for name in expected_detectors(request.policy, "scan")
    }
    problems = (*inspected.result.problems, why.sentence[:2000])
    outcomes = {**inspected.outcomes, **skipped}
    return Seen(inspected.result.model_copy(update={"outcomes": outcomes, "problems": problems}))
