"""Penultimate activations of many samples, in bounded batches."""

import torch

from gate.records.run import Run
from gate.spaces.subject import Classifier


def activations_of(classifier: Classifier, inputs: torch.Tensor, run: Run) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits (N, K) and penultimate activations (N, D) of raw inputs (N, C, H, W), in batches of the run."""
    found = []
    with torch.no_grad():
        for chunk in torch.split(inputs, run.max_batch):
            run.check_time()
            found.append(classifier.activations(chunk))
    logits, activations = zip(*found, strict=True)
    return torch.cat(logits), torch.cat(activations)
