"""Choosing clean samples: as many of each class as there are, up to a total, by a seed."""

import torch

from gate.subject import Samples


def balanced(samples: Samples, most: int, seed: int) -> Samples:
    """Return at most `most` samples, an equal share of each label as far as they reach; without labels, at random."""
    count = len(samples.inputs)
    if count <= most:
        return samples
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    if samples.labels is not None:
        labels = samples.labels.cpu()[order]
        rank = torch.empty(count, dtype=torch.long)
        for label in torch.unique(labels):
            rows = (labels == label).nonzero().flatten()
            rank[rows] = torch.arange(len(rows))
        order = order[torch.argsort(rank, stable=True)]
    chosen = order[:most].sort().values.to(samples.inputs.device)
    return Samples(samples.inputs[chosen], None if samples.labels is None else samples.labels[chosen], samples.source)
