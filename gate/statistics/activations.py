"""Penultimate activations of many samples, in bounded batches; what the detectors of activations begin with."""

import torch

from gate.records.run import Run
from gate.spaces.subject import Classifier


def activations_of(classifier: Classifier, inputs: torch.Tensor, run: Run) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits (N, K) and penultimate activations (N, D) of raw inputs (N, C, H, W), in batches of the run."""
    logits, activations = [], []
    with torch.no_grad():
        for chunk in torch.split(inputs, run.max_batch):
            run.check_time()
            some_logits, some_activations = classifier.activations(chunk)
            logits.append(some_logits)
            activations.append(some_activations)
    return torch.cat(logits), torch.cat(activations)
