"""The scan worker's device, seeds, threads and library versions, and the triggers' file."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors.torch import save_file

from gate.errors import UnexaminableError
from gate.job import TRIGGERS_FILE, ScanJob
from gate.scan import Scanned


def prepare(job: ScanJob) -> str:
    """Seed torch, set its threads, and return the device; a GPU that was asked for and is not there is an error."""
    torch.manual_seed(job.seed)
    torch.set_num_threads(job.threads or len(os.sched_getaffinity(0)))
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    if job.device == "cuda" and not torch.cuda.is_available():
        raise UnexaminableError("device 'cuda' was asked for, and torch finds no usable GPU")
    return "cuda" if job.device != "cpu" and torch.cuda.is_available() else "cpu"


def describe(device: str) -> str:
    """Return the device with its name and threads, for the report."""
    if device == "cuda":
        return f"cuda ({torch.cuda.get_device_name()})"
    return f"cpu ({platform.machine()}, {torch.get_num_threads()} threads)"


def versions() -> dict[str, str]:
    """Return the versions of what did the arithmetic."""
    return {"python": platform.python_version(), **{name: version(name) for name in ("torch", "numpy", "scikit-learn")}}


def save_triggers(scratch: Path, scanned: Scanned) -> None:
    """Write masks, patterns, fields and the like by detector and location; workers alone read them again."""
    tensors = {
        f"{detector}/{location}/{name}": tensor.float().cpu().contiguous()
        for (detector, location), trigger in scanned.triggers.items()
        for name, tensor in trigger.tensors.items()
    }
    if tensors:
        save_file(tensors, scratch / TRIGGERS_FILE)
