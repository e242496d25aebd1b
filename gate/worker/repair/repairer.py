"""The repairer: one method, on one code-free model, in a jailed process; what it writes is read by the strict reader.

It runs no foreign code. Everything that stands against an attempt is a `RepairResult` in words; what the repaired model
is worth, a scan of its own decides.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gate.formats.sealing import ChangedError, Seal, as_pulled
from gate.programs import Program, read_program
from gate.programs.writer.write import write_program
from gate.records.artifact import Artifact
from gate.records.errors import GateError, UnexaminableError
from gate.records.job import ScanJob
from gate.records.repair import REPAIR_FILE, REPAIRED_FILE, RepairResult, RepairTask
from gate.spaces.image.stored_triggers import load_triggers
from gate.spaces.subject import Samples, Trigger
from gate.worker.compute import run_of
from gate.worker.loading.candidate import find_candidate
from gate.worker.loading.program_classifier import ProgramClassifier
from gate.worker.loading.subject import load_subject, sentence
from gate.worker.output import save_result, say_progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gate.records.evidence import Location
    from gate.records.run import Run


@dataclass(frozen=True)
class _Loaded:
    program: Program
    classifier: ProgramClassifier
    samples: Samples
    triggers: "Mapping[Location, Trigger]"


def repair(job: ScanJob, artifact: Artifact, scratch: Path, device: str, deadline: float) -> None:
    """Make the job's attempt and leave its result, and the repaired program where there is one."""
    task = job.repair
    assert task is not None
    say_progress("loading the model", 0, 1)
    try:
        seal = Seal.of(artifact)
        loaded = _load(job, task, artifact, device)
        seal.check()
        say_progress("loading the model", 1, 1)
        run = replace(run_of(job, device, loaded.classifier, loaded.samples), deadline=deadline, progress=_progress)
        result, program = _attempt(task, loaded, run)
    except ChangedError as error:
        result, program = _without(job, task, "failed", sentence(error)), None
    except UnexaminableError as error:
        result, program = _without(job, task, "does-not-fit", sentence(error)), None
    except GateError as error:
        result, program = _without(job, task, "failed", str(error)[:2000]), None
    if program is not None:
        write_program(program.to("cpu"), scratch / REPAIRED_FILE)
    save_result(scratch, result.model_copy(update={"complete": True}), REPAIR_FILE)


def _without(job: ScanJob, task: RepairTask, status: str, reason: str) -> RepairResult:
    return RepairResult.model_validate(
        {"method": task.method, "options": task.options, "seed": job.seed, "status": status, "reason": reason}
    )


def _load(job: ScanJob, task: RepairTask, artifact: Artifact, device: str) -> _Loaded:
    """Read model, samples and triggers as the scan does; what the scan would not look at is not repaired either."""
    loaded = load_subject(artifact, job, job.policy.samples.of(job.model.name), device)
    classifier, samples = loaded.subject.classifier, loaded.subject.samples
    if loaded.problems or classifier is None or samples is None:
        raise UnexaminableError(" ".join(loaded.problems) or "the model and its samples could not be read")
    if not isinstance(classifier, ProgramClassifier):
        raise UnexaminableError("only an exported program (model.pt2) can be repaired without code of its own")
    places = {place: task.named_by.get(str(place), "") for place in task.suspects}
    program = read_program(find_candidate(artifact.root).path)
    return _Loaded(
        program.with_output(program.output_paths.index(classifier.output)).to(device),
        classifier,
        samples,
        load_triggers(_triggers(task), places, classifier.input_shape, classifier.bounds, device)
        if task.triggers_path is not None
        else {},
    )


def _triggers(task: RepairTask) -> bytes:
    """Return the bytes of the scan's triggers, if they are those that the orchestrator hashed."""
    assert task.triggers_path is not None
    assert task.triggers_sha256 is not None
    with as_pulled(Path(task.triggers_path), task.triggers_sha256, "the file of the scan's triggers") as stream:
        return stream.read()


def _progress(done: int, total: int) -> None:
    say_progress("repairing", done, total)


def _attempt(task: RepairTask, loaded: _Loaded, run: "Run") -> tuple[RepairResult, Program | None]:
    from gate.worker.repair.attempt import attempt

    return attempt(
        task.method,
        task.options,
        loaded.program,
        loaded.classifier.preprocessing,
        loaded.classifier.bounds,
        loaded.samples,
        loaded.triggers,
        run,
        task.suspects,
    )
