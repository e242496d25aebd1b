"""Choosing clean samples: as many of each class as there are, up to a total, by a seed."""

import torch

from gate.subject import Samples


def balanced(samples: Samples, most: int, seed: int) -> Samples:
    """Return at most `most` samples, an equal share of each label as far as they reach; without labels, at random."""
    if len(samples.inputs) <= most:
        return samples
    return chosen(samples, balanced_rows(samples, most, seed))


def chosen(samples: Samples, rows: torch.Tensor) -> Samples:
    """Return the samples at these indices."""
    rows = rows.to(samples.inputs.device)
    return Samples(samples.inputs[rows], None if samples.labels is None else samples.labels[rows], samples.source)


def balanced_rows(samples: Samples, most: int, seed: int) -> torch.Tensor:
    """Return the indices of what `balanced` chooses, in order, on the CPU."""
    count = len(samples.inputs)
    if count <= most:
        return torch.arange(count)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    if samples.labels is not None:
        labels = samples.labels.cpu()[order]
        rank = torch.empty(count, dtype=torch.long)
        for label in torch.unique(labels):
            rows = (labels == label).nonzero().flatten()
            rank[rows] = torch.arange(len(rows))
        order = order[torch.argsort(rank, stable=True)]
    return order[:most].sort().values
