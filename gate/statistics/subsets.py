"""Choosing samples: as many of each class as there are, up to a total, by a seed."""

import torch

from gate.spaces.subject import Samples


def balanced(samples: Samples, most: int, seed: int) -> Samples:
    """Return at most `most` samples, an equal share of each label as far as they reach; without labels, at random."""
    if len(samples.inputs) <= most:
        return samples
    rows = balanced_rows(len(samples.inputs), samples.labels, most, seed)
    return chosen(samples, rows)


def chosen(samples: Samples, rows: torch.Tensor) -> Samples:
    """Return the samples at these indices."""
    rows = rows.to(samples.inputs.device)
    return Samples(samples.inputs[rows], None if samples.labels is None else samples.labels[rows], samples.source)


def balanced_rows(count: int, labels: torch.Tensor | None, most: int, seed: int) -> torch.Tensor:
    """Return at most `most` of `count` row numbers in rising order, an equal share of each label (N,) where given."""
    if count <= most:
        return torch.arange(count)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    if labels is not None:
        shuffled = labels.cpu()[order]
        rank = torch.empty(count, dtype=torch.long)
        for label in torch.unique(shuffled):
            rows = (shuffled == label).nonzero().flatten()
            rank[rows] = torch.arange(len(rows))
        order = order[torch.argsort(rank, stable=True)]
    return order[:most].sort().values
