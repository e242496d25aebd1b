"""The scan worker's device, seeds, threads and library versions, and the triggers' file."""

import os
import platform
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors.torch import save_file

from gate.records.errors import UnexaminableError
from gate.records.job import TRIGGERS_FILE, ScanJob
from gate.records.run import Run
from gate.spaces.subject import Classifier, Samples
from gate.worker import footprint
from gate.worker.loop import Scanned

SHARE_OF_MEMORY = 4
"""One part in so many of the worker's memory is for what a pass keeps; samples, triggers and torch have the rest."""
MAX_BYTES = 200 << 20
"""Of the triggers' file; a larger one than 256 MiB could not be written in the jail."""


def prepare(job: ScanJob) -> str:
    """Seed torch, set its threads, and return the device; a GPU that was asked for and is not there is an error."""
    torch.manual_seed(job.seed)
    torch.set_num_threads(job.threads or len(os.sched_getaffinity(0)))
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    if job.device == "cuda" and not torch.cuda.is_available():
        raise UnexaminableError("device 'cuda' was asked for, and torch finds no usable GPU")
    return "cuda" if job.device != "cpu" and torch.cuda.is_available() else "cpu"


def run_of(job: ScanJob, device: str, classifier: Classifier | None, samples: Samples | None) -> Run:
    """Return the job's run; as many images share a pass as a quarter of the job's memory, or the card's, allows."""
    run = Run(seed=job.seed, device=device)
    budget = torch.cuda.get_device_properties(0).total_memory if device == "cuda" else job.memory_bytes
    if classifier is None or samples is None or budget is None:
        return run
    most = footprint.largest_batch(classifier, samples.inputs, budget // SHARE_OF_MEMORY, run.max_batch)
    return replace(run, max_batch=most)


def describe(device: str) -> str:
    """Return the device with its name and threads, for the report."""
    if device == "cuda":
        return f"cuda ({torch.cuda.get_device_name()})"
    return f"cpu ({platform.machine()}, {torch.get_num_threads()} threads)"


def versions() -> dict[str, str]:
    """Return the versions of what did the arithmetic."""
    return {"python": platform.python_version(), **{name: version(name) for name in ("torch", "numpy", "scikit-learn")}}


def save_triggers(scratch: Path, scanned: Scanned) -> None:
    """Write masks, patterns, fields and the like by detector and location; workers alone read them again.

    Of so many that the file would be refused as too large, suspects come first and the rest is left out.
    """
    suspects = {str(suspect.location) for suspect in scanned.suspects}
    tensors: dict[str, torch.Tensor] = {}
    room = MAX_BYTES
    for (detector, place), trigger in sorted(scanned.triggers.items(), key=lambda item: item[0][1] not in suspects):
        parts = {f"{detector}/{place}/{name}": t.float().cpu().contiguous() for name, t in trigger.tensors.items()}
        room -= sum(part.nbytes for part in parts.values())
        if room < 0:
            break
        tensors |= parts
    if tensors:
        save_file(tensors, scratch / TRIGGERS_FILE)
