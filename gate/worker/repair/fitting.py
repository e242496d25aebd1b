"""Checks that a method fits a model, a finding and samples, all before anything is trained; and the samples' halves."""

from collections.abc import Mapping
from typing import Any

import torch

from gate.records.evidence import Location
from gate.records.repair import LEAST_PER_CLASS, LEAST_SAMPLES
from gate.spaces.subject import Samples, Trigger
from gate.worker.loading.program_classifier import ProgramClassifier
from gate.worker.loading.text_classifier import TokenClassifier
from gate.worker.repair.contract import Method, Need

Triggers = Mapping[Location, Trigger]


def halves(labels: torch.Tensor, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the indices to repair with and those to measure on: a random half of each class of labels (N,)."""
    labels = labels.cpu()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    rank = torch.zeros(len(labels), dtype=torch.long)
    for label in torch.unique(labels):
        rows = order[labels[order] == label]
        rank[rows] = torch.arange(len(rows))
    return (rank % 2 == 0).nonzero().flatten(), (rank % 2 == 1).nonzero().flatten()


def lack_of_samples(samples: Samples, classes: int) -> str:
    """Return why a model of so many classes cannot be repaired and measured with these samples, or nothing."""
    if samples.labels is None:
        return "the clean samples carry no labels; a repair needs them to train on and to measure what it costs"
    if len(samples.inputs) < LEAST_SAMPLES:
        return f"there are {len(samples.inputs)} clean samples; a repair needs at least {LEAST_SAMPLES}"
    counts = torch.bincount(samples.labels.cpu(), minlength=classes)
    scarce = (counts < LEAST_PER_CLASS).nonzero().flatten().tolist()
    if scarce:
        named = ", ".join(map(str, scarce[:10])) + (", …" if len(scarce) > 10 else "")
        least = f"fewer than {LEAST_PER_CLASS} clean samples"
        return f"{least} are of class {named}; one to repair with and one to measure on"
    return ""


def lack_of_fit(method: Method[Any], classifier: ProgramClassifier | TokenClassifier, triggers: Triggers) -> str:
    """Return why the method does not fit this model, its architecture or this finding, or nothing."""
    if classifier.space not in method.spaces:
        return f"{method.id} is for {' and '.join(sorted(method.spaces))}; this model takes {classifier.space}"
    if Need.TRIGGERS in method.needs and not triggers:
        return f"{method.id} needs an inverted trigger; the scan left none that can be applied again"
    if isinstance(classifier, TokenClassifier):
        return ""  # how a graph of tokens takes batches shows where it is made trainable
    if Need.BATCHES in method.needs and classifier.body.mode not in ("direct", "relaxed"):
        return f"{method.id} trains on several samples at once; the exported graph takes one at a time"
    return ""
