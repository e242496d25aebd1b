"""The converter: the only process in which a candidate's own code may run, and so one whose claims count for nothing.

It loads the model with its code, exports it, and leaves the exported program as a file for the strict reader. Where
that fails it measures the behaviour of the live module itself (level C), which is never better than flagged. Of a
pipeline of transformers it runs no code: it composes the network from data (`gate.worker.pipelines`).
"""

import time
from pathlib import Path

import torch

from gate.programs import read_program
from gate.programs.writer.write import export_module, write_program
from gate.records.artifact import Artifact
from gate.records.errors import GateError, UnexaminableError
from gate.records.job import CONVERTED_FILE, ScanJob, ScanResult
from gate.worker.clean_samples import example
from gate.worker.loading.candidate import Candidate, find_candidate
from gate.worker.loading.loaded import Loaded, sentence
from gate.worker.loading.module_classifier import type_of
from gate.worker.loading.modules import load_with_code
from gate.worker.loading.subject import load_live_module
from gate.worker.output import say_progress
from gate.worker.pipelines.compose import compose, pipeline_of

_NOT_ALLOWED = "It is no pipeline, and nobody allowed its own code to run."


def convert(job: ScanJob, artifact: Artifact, scratch: Path) -> Loaded | ScanResult:
    """Leave a program and return that as the result, or return the live module where it cannot be exported."""
    started = time.monotonic()
    say_progress("converting", 0, 1)
    try:
        if (pipeline := pipeline_of(artifact.root)) is not None:
            compose(job, pipeline, scratch / CONVERTED_FILE)
            return _converted(started)
        if not job.allow_code:
            return ScanResult(isolation="none", problems=(_NOT_ALLOWED,), complete=False)
        candidate = find_candidate(artifact.root)
        if candidate.format == "pt2":
            # Code in fields that only other loaders execute: the program is written again without them.
            write_program(read_program(candidate.path), scratch / CONVERTED_FILE)
            return _converted(started)
        module = _with_code(candidate).eval()
        traced = example(job, 2, "converting a model").to(type_of(module))
    except UnexaminableError as error:
        return ScanResult(isolation="none", problems=(sentence(error),), complete=False)
    try:
        export_module(_exportable(module, traced), traced, scratch / CONVERTED_FILE)
    except (GateError, Exception) as error:  # noqa: BLE001  # the candidate's code may raise anything
        (scratch / CONVERTED_FILE).unlink(missing_ok=True)
        problem = (
            f"The model's code could not be turned into a code-free bundle ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:300]}); its behaviour alone was measured."
        )
        return load_live_module(artifact, module, job, job.policy.samples.of(job.model.name), problem)
    return _converted(started)


def _with_code(candidate: Candidate) -> torch.nn.Module:
    if candidate.format == "onnx":
        raise UnexaminableError("an ONNX model has no code that could be converted; what was found in its files stays")
    return load_with_code(candidate.path, candidate.code)


def _converted(started: float) -> ScanResult:
    say_progress("converting", 1, 1)
    seconds = {"convert": time.monotonic() - started}
    return ScanResult(isolation="none", converted=True, complete=True, seconds=seconds)


def _exportable(module: torch.nn.Module, traced: torch.Tensor) -> torch.nn.Module:
    """Return a module that torch.export takes: TorchScript is turned into a graph by torch's own converter first."""
    if not isinstance(module, torch.jit.ScriptModule):
        return module
    from torch._export.converter import TS2EPConverter

    return TS2EPConverter(module, (traced,)).convert().module(check_guards=False)
