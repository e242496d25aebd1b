"""Penultimate activations of many samples, in bounded batches."""

import torch

from gate.records.passes import Passes
from gate.records.run import Run
from gate.spaces.subject import Classifier, Subject
from gate.statistics.subsets import passed


def activations_of(classifier: Classifier, inputs: torch.Tensor, run: Run) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits (N, K) and penultimate activations (N, D) of raw inputs (N, C, H, W), in batches of the run."""
    found = []
    with torch.no_grad():
        for chunk in torch.split(inputs, run.max_batch):
            run.check_time()
            found.append(classifier.activations(chunk))
    logits, activations = zip(*found, strict=True)
    return torch.cat(logits), torch.cat(activations)


def passes_of_both(subject: Subject, clean_samples: int, samples_per_class: int) -> Passes:
    """Return the passes of at most so many clean samples, and of so many of the training set a class."""
    assert subject.classifier is not None
    assert subject.samples is not None
    assert subject.training_set is not None
    clean = passed(subject.samples, clean_samples)
    training = passed(subject.training_set, samples_per_class * subject.classifier.num_classes)
    return Passes(clean + training, alone=False)
