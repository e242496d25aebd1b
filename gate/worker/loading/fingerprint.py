"""A model's state as one digest, which shows whether a detector or a repair changed it."""

import hashlib
from collections.abc import Mapping
from typing import cast

import torch

from gate.spaces.subject import Classifier, Subject
from gate.worker.loading.module_classifier import ModuleClassifier
from gate.worker.loading.program_classifier import ProgramClassifier
from gate.worker.loading.text_classifier import TokenClassifier


def fingerprint(classifier: Classifier | TokenClassifier) -> str:
    """Return a digest of every parameter and buffer, and of a module's modes and hooks."""
    if isinstance(classifier, TokenClassifier):
        return tensors_fingerprint(classifier.network.state())
    if isinstance(classifier, ProgramClassifier):
        return tensors_fingerprint(classifier.body.program.tensors)
    assert isinstance(classifier, ModuleClassifier)
    module = classifier.module
    modes = (f"{name} {layer.training} {_hooks(layer)}\n" for name, layer in module.named_modules())
    return tensors_fingerprint({**dict(module.named_parameters()), **dict(module.named_buffers())}, "".join(modes))


def fingerprint_of(subject: Subject) -> str:
    """Return the digest of whatever a subject has that runs; empty where nothing does."""
    if subject.beside is not None:
        both = (("own", subject.beside.own), ("base", subject.beside.base))
        return tensors_fingerprint({f"{which} {name}": t for which, one in both for name, t in one.state.items()})
    return "" if subject.classifier is None else fingerprint(cast("TokenClassifier", subject.classifier))


def _hooks(layer: torch.nn.Module) -> int:
    return sum(len(value) for key, value in vars(layer).items() if "hooks" in key and hasattr(value, "__len__"))


def tensors_fingerprint(tensors: Mapping[str, torch.Tensor], modes: str = "") -> str:
    """Return a digest of tensors' bytes, and of gradients that were left behind."""
    digest = hashlib.sha256(modes.encode())
    for name, tensor in sorted(tensors.items()):
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.requires_grad} {tensor.grad is not None}".encode())
        digest.update(flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")
    return digest.hexdigest()
