"""The writer: a strictly read program becomes a file of the gate's own, in a process that never ran foreign code.

It reads a candidate that needs none of its own code, or what a converter or repairer left, writes the program anew,
reads it back and compares. The orchestrator puts the facts about it into the bundle's texts (`gate.check.bundle`).
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import torch

from gate.formats.huggingface.pipeline import Pipeline
from gate.formats.huggingface.texts import Texts
from gate.formats.mlflow_folder import TOKENIZER
from gate.formats.mlflow_model import EXAMINED
from gate.formats.sealing import ChangedError, Seal
from gate.programs import Program, read_program
from gate.programs.writer.identity import difference, program_digest, tensors_digest
from gate.programs.writer.write import export_module, write_program
from gate.records.artifact import Artifact, file_sha256
from gate.records.bundle import Origin
from gate.records.class_names import bounded, in_metadata
from gate.records.errors import GateError, UnexaminableError
from gate.records.job import TOKENIZER_FILE, WRITTEN_FILE, ScanJob, ScanResult
from gate.records.signature import Signature, read_signature
from gate.records.written_program import TensorInput, Written, WrittenTokenizer
from gate.worker.clean_samples import example
from gate.worker.comparing import COMPARED_SAMPLES, differing
from gate.worker.loading.candidate import Candidate, Format, declared_by, find_candidate
from gate.worker.loading.loaded import sentence
from gate.worker.loading.model import read_model
from gate.worker.loading.module_classifier import type_of
from gate.worker.loading.onnx_models import onnx_inputs, read_onnx_program, require_same
from gate.worker.loading.outputs import type_name
from gate.worker.loading.token_programs import names_beside
from gate.worker.output import say_progress
from gate.worker.pipelines.compose import composed_of, pipeline_of
from gate.worker.served_tokenizer import beside, of_texts

_VERSION: Final = re.compile(r"[0-9]{1,4}(\.[0-9]{1,6}){1,3}([+.a-z0-9]{1,30})?")


def write(job: ScanJob, artifact: Artifact, scratch: Path) -> ScanResult:
    """Leave the program and return its facts, or the only problem: why none can be written."""
    started = time.monotonic()
    say_progress("writing the bundle", 0, 1)
    try:
        seal = Seal.of(artifact)
        written = _written(job, artifact, scratch)
        seal.check()
    except ChangedError as error:
        # Not a reason for having no bundle, but a fault: what was read is not what was pulled.
        return ScanResult(isolation="none", problems=(sentence(error),), complete=False)
    except UnexaminableError as error:
        return ScanResult(isolation="none", problems=(sentence(error),), complete=True)
    say_progress("writing the bundle", 1, 1)
    return ScanResult(isolation="none", written=written, complete=True, seconds={"write": time.monotonic() - started})


def _written(job: ScanJob, artifact: Artifact, scratch: Path) -> Written:
    to = scratch / WRITTEN_FILE
    if job.left_path is not None and job.left_origin is not None:
        made = _rewritten(read_program(Path(job.left_path)), to, job.left_origin)
    else:
        candidate = find_candidate(artifact.root)
        made = _FORMATS[candidate.format](job, candidate, to)
    # A repaired program's tokenizer is the candidate's own.
    source = pipeline_of(artifact.root) if job.left_origin in {"composed", "repaired"} else None
    pipeline = source if job.left_origin == "composed" else None
    # Signature and labels of a pipeline are not those of the program that was composed of it.
    signature, why = _signature(artifact.root) if source is None else (None, _OTHERS_TAKEN)
    return Written(
        origin=made.origin,
        format=made.format if pipeline is None else "safetensors",
        program_sha256=file_sha256(to),
        parent=made.parent,
        inputs=tensor_inputs(made.program),
        signature=signature,
        signature_dropped=why,
        candidate_torch=_candidate_torch(artifact.root),
        class_names=_class_names(artifact.root) if source is None else bounded(source.labels),
        returned=made.returned,
        composed=None if pipeline is None else composed_of(pipeline),
        tokenizer=_tokenizer(job, artifact.root, source, made.program, scratch / TOKENIZER_FILE),
        greatest_difference=made.difference,
    )


_OTHERS_TAKEN: Final = "it is that of a pipeline, which takes texts or images as texts; the program takes tensors"


def _tokenizer(
    job: ScanJob, root: Path, pipeline: Pipeline | None, program: Program, to: Path
) -> WrittenTokenizer | None:
    """Write the tokenizer that is served with a program of token ids, and return its facts; None of any other.

    It cuts a text where the texts that are judged are cut, and no later.
    """
    texts = pipeline.given if pipeline is not None and isinstance(pipeline.given, Texts) else None
    served = beside(root, program) if texts is None else of_texts(texts)
    if served is None:
        return None
    served = served.cut_to(job.policy.samples.of(job.model.name).longest(served.longest))
    to.write_bytes(served.raw)
    return WrittenTokenizer(sha256=file_sha256(to), longest=served.longest, padding=served.padding)


@dataclass(frozen=True)
class _Made:
    program: Program
    origin: Origin
    format: str
    parent: str
    difference: float = 0.0
    returned: str = ""


def _rewritten(program: Program, to: Path, origin: Origin) -> _Made:
    """Write a program anew and read it back: the same operators on the same constants, or nothing."""
    write_program(program, to)
    again = read_program(to)
    if differs := difference(program, again):
        raise RuntimeError(f"the program that was written is not the one that was read: {differs} differ")
    return _Made(again, origin, "pt2", program_digest(program), returned=program.returned)


def _of_pt2(_: ScanJob, candidate: Candidate, to: Path) -> _Made:
    return _rewritten(read_program(candidate.path), to, "pt2")


def _of_onnx(job: ScanJob, candidate: Candidate, to: Path) -> _Made:
    """Write the program that the operators were mapped to, and compare it with onnxruntime on the clean samples."""
    program = read_onnx_program(candidate.path)
    made = _rewritten(program, to, "onnx")
    try:
        apart = require_same(candidate.path, made.program, onnx_inputs(job, program))
    except GateError:
        to.unlink(missing_ok=True)
        raise
    return replace(made, format="onnx", difference=apart)


def _exported(job: ScanJob, candidate: Candidate, to: Path) -> _Made:
    """Export layers of torch's own code, and compare both on the clean samples."""
    model = read_model(candidate, "cpu")
    module = model.body
    assert isinstance(module, torch.nn.Module)
    module.eval()
    given = example(job, COMPARED_SAMPLES, "exporting the model").to(type_of(module))
    try:
        program = export_module(module, given[:2], to)
        apart = differing(module, program, given)
    except GateError as error:
        to.unlink(missing_ok=True)
        raise UnexaminableError(f"its layers could not be exported as a program that the gate reads: {error}") from None
    except Exception as error:  # noqa: BLE001  # the exporter may raise anything on layers that it does not know
        to.unlink(missing_ok=True)
        text = " ".join(str(error).split())[:300]
        raise UnexaminableError(f"torch could not export its layers: {type(error).__name__}: {text}") from None
    return _Made(program, "pickle", model.facts.format, tensors_digest(str(module), dict(module.state_dict())), apart)


_FORMATS: Final[Mapping[Format, Callable[[ScanJob, Candidate, Path], _Made]]] = {
    "pt2": _of_pt2,
    "onnx": _of_onnx,
    "pickle": _exported,
}


def tensor_inputs(program: Program) -> tuple[TensorInput, ...]:
    """Return a program's inputs for the orchestrator."""
    return tuple(TensorInput(name=one.name, shape=one.shape, dtype=type_name(one.dtype)) for one in program.inputs)


def _signature(root: Path) -> tuple[Signature | None, str]:
    """Return the candidate's signature, or why it cannot be written again."""
    try:
        declared = declared_by(root).top.get("signature")
        return (None, "") if declared is None else (read_signature(declared), "")
    except GateError as error:
        return None, str(error)[:500]


def _class_names(root: Path) -> dict[int, str]:
    """Return the classes' names beside the candidate's tokenizer, or in its metadata; a claim, and shown as one."""
    if (root / TOKENIZER).is_file():
        return names_beside(root)
    try:
        return in_metadata(declared_by(root).top.get("metadata"))
    except GateError:
        return {}


def _candidate_torch(root: Path) -> str:
    """Return the torch version that the candidate states; a claim, and shown as one."""
    try:
        flavour = declared_by(root).flavors.get(EXAMINED)
    except GateError:
        return ""
    claimed = str((flavour or {}).get("pytorch_version", ""))
    return claimed if _VERSION.fullmatch(claimed) else ""
