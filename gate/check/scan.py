"""The scan step: give a pulled copy to workers, one after the other, as far as their results allow.

It needs no credentials and parses no hostile bytes: workers do.
"""

import datetime as dt
import time
from dataclasses import dataclass, replace
from pathlib import Path

from gate.check.bundle.compose import FOLDER as BUNDLE_FOLDER
from gate.check.bundle.compose import Bundle, compose, put
from gate.check.bundle.folder import PROGRAM
from gate.check.evidence import ScanRequest, evidence_of
from gate.check.expecting import Expecting
from gate.check.files import EVIDENCE, CheckFiles, remove
from gate.check.resume import Unfinished
from gate.check.scan_beside_base import scan_beside_base
from gate.check.scanned import Scanned, against, faults_of, inspect_bundle, not_loaded, refused
from gate.check.worker_results import expected_detectors
from gate.check.workers import Left, Progress, Seen, Workers
from gate.formats.carried import Carried, carried
from gate.formats.mlflow_folder import TOKENIZER
from gate.judging.calibrated import few_classes, has_few_classes
from gate.judging.judge import forbids_loading
from gate.judging.within import may_have_one
from gate.policies.declared import before_loading
from gate.policies.spaces import spaces_of
from gate.records.activity import Tell, expect
from gate.records.bank import OpenBank
from gate.records.evidence import Evidence
from gate.records.job import CLASSES_STEP, CONVERTED_FILE, TRIGGERS_FILE
from gate.records.policy import Policy
from gate.records.provenance import RepairOrigin

_ROOM = ".written"
"""Folder of converter and writer below the private copy, until the bundle is moved to the check's files."""


def scan_into(files: CheckFiles, request: ScanRequest, progress: Progress, say: Tell = lambda _line: None) -> Evidence:
    """Scan as `scan` does, resume an interrupted scan, and write the result to the files."""
    scanned = scan(replace(request, unfinished=Unfinished(files.root)), progress, say)
    write_scanned(scanned, files)
    return scanned.evidence


def scan(request: ScanRequest, progress: Progress, say: Tell = lambda _line: None) -> Scanned:
    """Inspect the bytes; if they allow it, write the bundle and measure it; with `--allow-code`, convert first.

    `say` gets what the number of classes alone means for the verdict, and how long the detectors are expected to take,
    as soon as they are known.
    """
    remove(request.base / _ROOM)
    expect(_steps(request.policy))
    allowed, begun = request.settings.seconds(request.policy), dt.datetime.now(dt.UTC)
    deadline = time.monotonic() + allowed
    progress = announced(Expecting(progress, deadline, allowed, say), request.policy, request.bank, say)
    scanned = _scan(Workers(request, progress, deadline))
    expect(())
    if scanned.bundle is None:
        remove(request.base / _ROOM)
    return replace(scanned, evidence=scanned.evidence.model_copy(update={"begun_at": begun}))


def announced(progress: Progress, policy: Policy, bank: OpenBank | None, say: Tell) -> Progress:
    """Return progress that takes the number of classes out of a worker's steps, and announces once what follows.

    A user need not wait for the end to learn that few classes have no limit. The number is a claim and decides nothing.
    """
    said = False

    def show(step: str, done: int, total: int) -> None:
        nonlocal said
        if step != CLASSES_STEP:
            progress(step, done, total)
        elif not said and (line := foreseen(total, policy, bank)):
            said = True
            say(line)

    return show


def foreseen(classes: int, policy: Policy, bank: OpenBank | None) -> str:
    """Return why a model with so many classes will be flagged in any case; empty where it may not be."""
    of_images = "images" in spaces_of(policy)  # of tokens, words are compared and not classes
    if not of_images or not has_few_classes(classes) or may_have_one(classes, policy):
        return ""
    why = few_classes(classes, policy)
    if bank is None:
        return f"{why} The scan goes on, for a person to look at."
    if not bank.bank.statistics:
        return f"{why} The bank beside this scan holds reference models alone, which calibrate nothing."
    if bank.bank.classes != classes:
        return f"{why} The bank beside this scan is of models with {bank.bank.classes} classes."
    return ""


def _scan(workers: Workers) -> Scanned:
    request = workers.request
    inspected = workers.inspect(request.candidate)
    if request.policy.files_only:
        unbundled = "the policy judges the bytes alone, and behaviour was not examined"
        return Scanned(evidence_of(request, inspected.result).model_copy(update={"unbundled": unbundled}))
    if (beside := scan_beside_base(workers, inspected, request.base / _ROOM / BUNDLE_FOLDER)) is not None:
        return beside
    if request.pulled.problems or inspected.result.facts.unexaminable:
        irregular = "the artifact holds what is no plain file"
        reason = irregular if request.pulled.problems else "no detector examines models of its flavour"
        return not_loaded(request, inspected, Carried(reason))
    if not forbids_loading(evidence_of(request, inspected.result), request.policy, before_loading()):
        return _measured(workers, inspected)
    if not request.settings.allow_code:
        return not_loaded(request, inspected, carried(inspected.outcomes))
    return _by_its_code(workers, inspected)


def _by_its_code(workers: Workers, inspected: Seen) -> Scanned:
    """Convert a candidate by its own code and measure the bundle; where that fails, keep what was measured alive."""
    request = workers.request
    to = request.base / _ROOM / CONVERTED_FILE
    converted = workers.run("converter", request.candidate, inspected.outcomes, program_to=to)
    if not converted.result.converted or converted.program is None:
        # The converter ran the candidate's code: its claims are of level C.
        seen = converted.after(inspected)
        level = None if seen.result.assurance is None else "C"
        return Scanned(evidence_of(request, seen.result.model_copy(update={"assurance": level})), converted.triggers)
    return _converted(workers, inspected, converted, converted.program)


def _steps(policy: Policy) -> tuple[str, ...]:
    """Return the policy's detectors in the order in which workers run them, those of the bytes first."""
    planned = [name for stage in policy.plan() for name in stage.detectors]
    on_files = set(expected_detectors(policy, "inspector"))
    return tuple(sorted(planned, key=lambda name: name not in on_files))


def write_candidate(request: ScanRequest, progress: Progress) -> tuple[Bundle | None, str]:
    """Inspect a candidate and write the bundle of its program; return it, or why there is none. No code is run."""
    remove(request.base / _ROOM)
    workers = Workers(request, progress, time.monotonic() + request.settings.seconds(request.policy))
    inspected = workers.inspect(request.candidate)
    problems = (*request.pulled.problems, *inspected.result.problems)
    if problems:
        return None, problems[0]
    if forbids_loading(evidence_of(request, inspected.result), request.policy, before_loading()):
        return None, f"it was not loaded: {carried(inspected.outcomes).what}"
    wrote = _write_read(workers, inspected)
    return wrote.bundle, wrote.why


def write_repaired(
    request: ScanRequest, program: Path, repair: RepairOrigin, progress: Progress
) -> tuple[Bundle | None, str]:
    """Write the bundle of a repaired program and inspect its bytes; return it, or why there is none."""
    workers = Workers(request, progress, time.monotonic() + request.policy.deadline)
    wrote = _write(workers, Left(program, "repaired"), repair)
    if wrote.bundle is None:
        return None, wrote.why
    found = against(request, inspect_bundle(workers, wrote.bundle.place), wrote.bundle.place)
    return (wrote.bundle, "") if found is None else (None, found.message)


def write_scanned(scanned: Scanned, files: CheckFiles) -> None:
    """Replace an earlier scan's triggers, bundle and evidence.

    Evidence is removed first and written last: an interruption never leaves it without the files that it names.
    """
    for leftover in (files.root / EVIDENCE, files.root / TRIGGERS_FILE, files.root / BUNDLE_FOLDER):
        leftover.unlink(missing_ok=True) if leftover.is_file() or leftover.is_symlink() else remove(leftover)
    if scanned.triggers is not None:
        files.write(TRIGGERS_FILE, scanned.triggers)
    if scanned.bundle is not None:
        put(scanned.bundle, files, keep=False)
        remove(scanned.bundle.root.parent)
    files.write(EVIDENCE, scanned.evidence.pretty_json())
    Unfinished(files.root).path.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Wrote:
    seen: Seen
    bundle: Bundle | None = None
    why: str = ""
    broke: bool = False
    """A fault, and not only a model that no writer can write."""


def _write(workers: Workers, left: Left | None = None, repair: RepairOrigin | None = None) -> _Wrote:
    """Have the writer write the candidate's program, or a worker's, and compose the bundle around it."""
    request = workers.request
    folder = request.base / _ROOM / BUNDLE_FOLDER
    program, tokenizer = folder / PROGRAM, folder / TOKENIZER
    wrote = workers.run("writer", request.candidate, left=left, program_to=program, tokenizer_to=tokenizer)
    result = wrote.result
    if not result.complete or result.written is None or wrote.program is None:
        why = " ".join(result.problems) or "the writer left no program."
        # Only a worker that ended honestly gives a reason; anything else without a bundle is a fault.
        return _Wrote(wrote, why=why, broke=not (result.complete and result.written is None and result.problems))
    bundle = compose(folder, result.written, request, repair or request.pulled.repair)
    return _Wrote(wrote, why=bundle, broke=True) if isinstance(bundle, str) else _Wrote(wrote, bundle)


def _write_read(workers: Workers, inspected: Seen) -> _Wrote:
    """Write the bundle of a candidate that needs none of its own code; a pipeline's network is composed first."""
    if not inspected.result.facts.is_pipeline:
        return _write(workers)
    to = workers.request.base / _ROOM / CONVERTED_FILE
    composed = workers.run("converter", workers.request.candidate, inspected.outcomes, program_to=to)
    if not composed.result.converted or composed.program is None:
        # The first is the worker's own reason, or how it ended where it gave none.
        why = next(iter(composed.result.problems), "the converter left no program")
        return _Wrote(composed, why=f"{why[:1].lower()}{why[1:].removesuffix('.')}")
    wrote = _write(workers, Left(composed.program, "composed"))
    return replace(wrote, seen=wrote.seen.as_safe_as(composed).computed_beside(composed))


def _measured(workers: Workers, inspected: Seen) -> Scanned:
    """Write the bundle of a candidate that needs none of its own code, and measure it; without one, the candidate."""
    request, wrote = workers.request, _write_read(workers, inspected)
    if wrote.bundle is None and inspected.result.facts.is_pipeline:
        return not_loaded(request, inspected.as_safe_as(wrote.seen), Carried(wrote.why))
    if wrote.bundle is None:
        measured = workers.run("scan", request.candidate, inspected.outcomes)
        seen = measured.after(inspected).as_safe_as(wrote.seen)
        evidence = evidence_of(request, seen.result)
        problems = (f"No bundle was written: {wrote.why}"[:2000],) if wrote.broke else ()
        noted = {"unbundled": wrote.why[:2000], "problems": (*evidence.problems, *problems)}
        return Scanned(evidence.model_copy(update=noted), measured.triggers)
    place = wrote.bundle.place
    bundle_inspected = inspect_bundle(workers, place)
    measured = workers.run("scan", place, inspected.outcomes)
    seen = measured.after(inspected).as_safe_as(wrote.seen, bundle_inspected).computed_beside(wrote.seen)
    evidence = evidence_of(request, seen.result, place, wrote.bundle.facts)
    assert wrote.seen.result.written is not None
    # The measured bundle is always a pt2 of the flavour pytorch; the candidate's own format says more.
    own = {"format": wrote.seen.result.written.format, "flavour": inspected.result.facts.flavour}
    facts = evidence.facts.model_copy(update=own)
    if faults := faults_of(request, bundle_inspected, wrote.bundle):
        none = {"bundle_digest": None, "bundle": None, "unbundled": faults[0]}
        problem = {"facts": facts, "problems": (*evidence.problems, *faults), **none}
        return Scanned(evidence.model_copy(update=problem), measured.triggers)
    return Scanned(evidence.model_copy(update={"facts": facts}), measured.triggers, wrote.bundle)


def _converted(workers: Workers, original: Seen, converted: Seen, program: Path) -> Scanned:
    """Rewrite the converter's hostile program as a bundle; inspect and measure the bundle, which alone counts."""
    request, wrote = workers.request, _write(workers, Left(program, "converted"))
    if wrote.bundle is None:
        reason = f"what the converter left could not be written as a bundle: {wrote.why}"
        return not_loaded(request, original.as_safe_as(converted, wrote.seen), Carried(reason))
    place = wrote.bundle.place
    inspected = inspect_bundle(workers, place)
    if against(request, inspected, place) is not None:
        seen = refused(request, inspected, Carried("what was found in the converted bundle forbids loading it"))
    else:
        seen = workers.run("scan", place, inspected.outcomes).after(inspected)
    result = seen.as_safe_as(original, converted, wrote.seen).result
    result = result.model_copy(update={"assurance": "B" if result.assurance == "A" else result.assurance})
    evidence = evidence_of(request, result, place, wrote.bundle.facts)
    evidence = evidence.model_copy(update={"original": original.outcomes})
    return Scanned(evidence, seen.triggers, wrote.bundle)
