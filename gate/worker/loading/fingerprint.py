"""A classifier's state as one digest, so that the scan can tell that a detector left the model as it was found."""

import hashlib

import torch

from gate.spaces.subject import Classifier
from gate.worker.loading.module_classifier import ModuleClassifier
from gate.worker.loading.program_classifier import ProgramClassifier


def fingerprint(classifier: Classifier) -> str:
    """Return a digest of every parameter's and buffer's bytes, of modes and of gradients that were left behind."""
    digest = hashlib.sha256()
    for name, tensor in sorted(_state(classifier).items()):
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.requires_grad} {tensor.grad is not None}".encode())
        digest.update(flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")
    if isinstance(classifier, ModuleClassifier):
        for name, module in classifier.module.named_modules():
            hooks = sum(
                len(value) for key, value in vars(module).items() if "hooks" in key and hasattr(value, "__len__")
            )
            digest.update(f"{name} {module.training} {hooks}".encode())
    return digest.hexdigest()


def _state(classifier: Classifier) -> dict[str, torch.Tensor]:
    if isinstance(classifier, ProgramClassifier):
        return dict(classifier.body.program.tensors)
    assert isinstance(classifier, ModuleClassifier)
    return {**dict(classifier.module.named_parameters()), **dict(classifier.module.named_buffers())}
