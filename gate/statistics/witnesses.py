"""The effect of a trigger on samples and models that had no part in the search, and its likeness to a second find."""

import math
from collections.abc import Mapping, Sequence

import torch

from gate.records.run import Run
from gate.spaces.contract import Apply
from gate.spaces.subject import Classifier, Trigger
from gate.statistics.cells import HALF
from gate.statistics.subsets import ranks

HELD_OUT_EVERY = 3
"""Samples of each class per held-out one, where a search would have used them all."""


def success_share(classifier: Classifier, trigger: Trigger, inputs: torch.Tensor, target: int, run: Run) -> float:
    """Return the share of inputs (N, C, H, W), N > 0, that the model gives the target with the trigger applied."""
    return float(_given(classifier, trigger.apply, inputs, target, run).float().mean())


def transfer_share(classifier: Classifier, trigger: Trigger, inputs: torch.Tensor, target: int, run: Run) -> float:
    """Return the share that the trigger moves, among inputs that the model does not give the target without it."""
    before = _given(classifier, lambda x: x, inputs, target, run)
    after = _given(classifier, trigger.apply, inputs, target, run)
    return float((after & ~before).sum() / (~before).sum().clamp_min(1))


def contrast(own: float, others: float, samples: int) -> float:
    """Return the log-odds of one share of so many samples less those of another, half a sample added to each side."""

    def odds(share: float) -> float:
        return math.log((share * samples + HALF) / ((1 - share) * samples + HALF))

    return odds(own) - odds(others)


def _given(classifier: Classifier, apply: Apply, inputs: torch.Tensor, target: int, run: Run) -> torch.Tensor:
    """Return for each input (N,) whether the model's first choice is the target after the change."""
    given = []
    with torch.no_grad():
        for chunk in torch.split(inputs, run.max_batch):
            run.check_time()
            given.append(classifier.logits(apply(chunk)).argmax(dim=1) == target)
    return torch.cat(given)


def split_by_class(labels: torch.Tensor, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the indices to search on and those to hold out: by the seed, the same share of each class."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    rank = torch.empty(len(labels), dtype=torch.long)
    rank[order] = ranks(labels.cpu()[order])
    held_out = rank % HELD_OUT_EVERY == HELD_OUT_EVERY - 1
    return (~held_out).nonzero().flatten(), held_out.nonzero().flatten()


def agreement(first: Mapping[str, torch.Tensor], second: Mapping[str, torch.Tensor]) -> float:
    """Return the likeness of two triggers of one family: overlap (IoU) of soft masks, else cosine of the changes."""
    if "mask" in first:
        ours, theirs = first["mask"], second["mask"]
        union = torch.maximum(ours, theirs).sum().clamp_min(1e-12)
        return float(torch.minimum(ours, theirs).sum() / union)
    ours, theirs = (torch.cat([parts[name].flatten() for name in sorted(first)]) for parts in (first, second))
    return float(torch.nn.functional.cosine_similarity(ours, theirs, dim=0))


def share_at_or_below(sizes: Sequence[float], size: float) -> float:
    """Return the share of a bank's sizes that are at or below a size; there must be one."""
    return sum(other <= size for other in sizes) / len(sizes)
