"""The worker's device, seeds, threads, batch size and library versions, and the triggers' file."""

import os
import platform
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors.torch import save_file

from gate import spaces
from gate.records.errors import UnexaminableError
from gate.records.job import TRIGGERS_FILE, ScanJob
from gate.records.run import Run
from gate.spaces.subject import Classifier, Samples
from gate.spaces.text.packing import lengths_of
from gate.worker.loop import Scanned

SHARE_OF_MEMORY = 4
"""Divisor of the worker's memory for what a pass keeps; samples, triggers and torch have the rest."""
GRADIENTS = 2
"""Bytes in use per byte kept, with gradients and temporaries of the backward pass."""
MAX_BYTES = 200 << 20
"""Largest file of triggers; the jail lets none beyond 256 MiB be written."""
_ALWAYS, _WHERE_USED = ("torch", "numpy", "scikit-learn"), ("onnx", "onnxruntime", "transformers")


def prepare(job: ScanJob) -> str:
    """Seed torch, set its threads, and return the device; a GPU that was asked for and is missing is an error."""
    torch.manual_seed(job.seed)
    torch.set_num_threads(job.threads or len(os.sched_getaffinity(0)))
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    if job.device == "cuda" and not torch.cuda.is_available():
        raise UnexaminableError("device 'cuda' was asked for, and torch finds no usable GPU")
    return "cuda" if job.device != "cpu" and torch.cuda.is_available() else "cpu"


def run_of(job: ScanJob, device: str, classifier: Classifier | None, samples: Samples | None) -> Run:
    """Return the job's run, whose passes keep at most a quarter of the job's memory, or of the GPU's."""
    run = Run(seed=job.seed, probe_seed=job.probe_seed, device=device)
    budget = torch.cuda.get_device_properties(0).total_memory if device == "cuda" else job.memory_bytes
    if classifier is None or samples is None or budget is None:
        return run
    inputs = samples.inputs
    if classifier.space == "tokens":
        inputs = inputs[lengths_of(inputs).argmax()].unsqueeze(0)
    try:
        return replace(run, max_batch=largest_batch(classifier, inputs, budget // SHARE_OF_MEMORY, run.max_batch))
    except UnexaminableError:
        if classifier.space != "tokens":
            raise
        return run  # no gradient leads to its tokens: nothing is kept for one, and the tokens of a pass are bounded


def largest_batch(classifier: Classifier, inputs: torch.Tensor, budget: int, most: int) -> int:
    """Return how many inputs (N, …), N at least 1, may share a pass of `budget` bytes; from 1 to `most`."""
    one = kept_bytes(classifier, inputs[:1])
    # Weights are kept once, however many inputs there are: the difference is what one costs.
    another = kept_bytes(classifier, inputs[:1].expand(2, *inputs.shape[1:])) - one
    return max(1, min(most, budget // (max(another, inputs[:1].nbytes) * GRADIENTS)))


def kept_bytes(classifier: Classifier, inputs: torch.Tensor) -> int:
    """Return the bytes of all tensors that one forward pass keeps for the gradient of its inputs."""
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    relaxed = spaces.load(classifier.space).relax(classifier, inputs)
    given = relaxed.point.detach().clone().requires_grad_()
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        logits = relaxed.logits(given)
    # The graph lives until here, so no two tensors had the same address.
    del logits
    return sum(kept.values())


def describe(device: str) -> str:
    """Return the device with its name and threads, for the report."""
    if device == "cuda":
        return f"cuda ({torch.cuda.get_device_name()})"
    return f"cpu ({platform.machine()}, {torch.get_num_threads()} threads)"


def versions() -> dict[str, str]:
    """Return the versions of the libraries that compute; of those that only some models need, where one was used."""
    names = (*_ALWAYS, *(name for name in _WHERE_USED if name in sys.modules))
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def save_triggers(scratch: Path, scanned: Scanned) -> None:
    """Write the triggers' tensors by detector and location, for other workers alone.

    Suspects come first; what would make the file too large is left out.
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
