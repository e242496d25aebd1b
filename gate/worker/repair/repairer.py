"""The repairer: one method, on one code-free model, in a jailed process; the strict reader reads what it writes.

It runs no foreign code. Every obstacle to an attempt ends in a `RepairResult`; a scan of its own judges the repaired
model.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

from gate.formats.sealing import ChangedError, Seal, as_pulled
from gate.programs import Program, read_program
from gate.programs.writer.write import write_program
from gate.records.artifact import Artifact
from gate.records.errors import GateError, UnexaminableError
from gate.records.job import ScanJob
from gate.records.repair import REPAIR_FILE, REPAIRED_FILE, RepairResult, RepairTask
from gate.spaces.image.preprocessing import Preprocessing
from gate.spaces.image.stored_triggers import load_triggers
from gate.spaces.stored_triggers import triggers_at
from gate.spaces.text.tokens import stored_trigger
from gate.worker.compute import run_of
from gate.worker.loading.candidate import find_candidate
from gate.worker.loading.loaded import Loaded, sentence
from gate.worker.loading.model import read_model
from gate.worker.loading.program_classifier import ProgramClassifier
from gate.worker.loading.subject import load_subject
from gate.worker.loading.text_classifier import TokenClassifier
from gate.worker.loading.token_programs import with_tokenizer
from gate.worker.output import save_result, say_progress
from gate.worker.repair.attempt import attempt
from gate.worker.repair.contract import Material


def repair(job: ScanJob, artifact: Artifact, scratch: Path, device: str, deadline: float) -> None:
    """Make the job's attempt and leave its result, and the repaired program if there is one."""
    task = job.repair
    assert task is not None
    say_progress("loading the model", 0, 1)
    try:
        seal = Seal.of(artifact)
        material, classifier = _load(job, task, artifact, device)
        seal.check()
        say_progress("loading the model", 1, 1)
        run = run_of(job, device, classifier, material.samples)
        run = replace(run, deadline=deadline, progress=partial(say_progress, "repairing"))
        result, program = attempt(task.method, task.options, material, run, task.suspects)
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


def _load(
    job: ScanJob, task: RepairTask, artifact: Artifact, device: str
) -> tuple[Material, ProgramClassifier | TokenClassifier]:
    """Read model, samples and triggers as the scan does."""
    material, classifier = _material(job, artifact, device)
    if task.triggers_path is None:
        return material, classifier
    places = {place: task.named_by.get(str(place), "") for place in task.suspects}
    if isinstance(classifier, TokenClassifier):
        words = triggers_at(_triggers(task), places, stored_trigger, device)
        return replace(material, triggers=words), classifier
    triggers = load_triggers(_triggers(task), places, classifier.input_shape, classifier.bounds, device)
    return replace(material, triggers=triggers), classifier


def _material(job: ScanJob, artifact: Artifact, device: str) -> tuple[Material, ProgramClassifier | TokenClassifier]:
    """Read model and samples as the scan does; what the scan would not examine is not repaired."""
    loaded = _loaded(job, artifact, device)
    classifier, samples = loaded.subject.classifier, loaded.subject.samples
    if not isinstance(classifier, TokenClassifier) or samples is None:
        return material_of(job, artifact, device, loaded)
    model = with_tokenizer(artifact.root, read_model(find_candidate(artifact.root), device))
    if model.text is None or not isinstance(model.body, Program):
        raise UnexaminableError("only an exported program (model.pt2) with its tokenizer beside it can be repaired")
    text = replace(model.text, longest=classifier.longest)
    return Material(model.body, Preprocessing(), (0.0, 0.0), samples, text=text), classifier


def _loaded(job: ScanJob, artifact: Artifact, device: str) -> Loaded:
    loaded = load_subject(artifact, job, job.policy.samples.of(job.model.name), device)
    if loaded.problems or loaded.subject.classifier is None or loaded.subject.samples is None:
        raise UnexaminableError(" ".join(loaded.problems) or "the model and its samples could not be read")
    return loaded


def material_of(
    job: ScanJob, artifact: Artifact, device: str, loaded: Loaded | None = None
) -> tuple[Material, ProgramClassifier]:
    """Read a model of images and samples as the scan does; what it would not examine is neither repaired nor copied."""
    loaded = loaded or _loaded(job, artifact, device)
    classifier, samples = loaded.subject.classifier, loaded.subject.samples
    assert samples is not None
    if isinstance(classifier, TokenClassifier):
        raise UnexaminableError("models of tokens are not copied: a bank of them is built of versions that were logged")
    if not isinstance(classifier, ProgramClassifier):
        raise UnexaminableError(
            "only an exported program (model.pt2) can be repaired or copied without code of its own"
        )
    program = read_program(find_candidate(artifact.root).path)
    program = program.with_output(program.output_paths.index(classifier.output)).to(device)
    return Material(program, classifier.preprocessing, classifier.bounds, samples), classifier


def _triggers(task: RepairTask) -> bytes:
    """Return the bytes of the scan's triggers, which must be those that the orchestrator hashed."""
    assert task.triggers_path is not None
    assert task.triggers_sha256 is not None
    with as_pulled(Path(task.triggers_path), task.triggers_sha256, "the file of the scan's triggers") as stream:
        return stream.read()
