"""Choice of samples by a seed, balanced over the classes."""

import torch

from gate.records.passes import Span
from gate.spaces.subject import Samples
from gate.spaces.text.packing import lengths_of


def balanced(samples: Samples, most: int, seed: int) -> Samples:
    """Return at most `most` samples, an equal share of each label as far as they reach; without labels, at random."""
    if len(samples.inputs) <= most:
        return samples
    return chosen(samples, balanced_rows(len(samples.inputs), samples.labels, most, seed))


def chosen(samples: Samples, rows: torch.Tensor) -> Samples:
    """Return the samples at these indices."""
    rows = rows.to(samples.inputs.device)
    texts = tuple(samples.texts[row] for row in rows.tolist()) if samples.texts else ()
    labels = None if samples.labels is None else samples.labels[rows]
    return Samples(samples.inputs[rows], labels, samples.source, texts)


def balanced_rows(count: int, labels: torch.Tensor | None, most: int, seed: int) -> torch.Tensor:
    """Return at most `most` of `count` row numbers in rising order, an equal share of each label (N,) where given."""
    if count <= most:
        return torch.arange(count)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    if labels is not None:
        order = order[torch.argsort(ranks(labels.cpu()[order]), stable=True)]
    return order[:most].sort().values


def ranks(labels: torch.Tensor) -> torch.Tensor:
    """Return for labels (N,) on the CPU how many earlier ones are equal to each, (N,)."""
    rank = torch.empty(len(labels), dtype=torch.long)
    for label in torch.unique(labels):
        rows = (labels == label).nonzero().flatten()
        rank[rows] = torch.arange(len(rows))
    return rank


def passed(samples: Samples, most: int) -> Span:
    """Return what so many samples count in passes, whichever they are: images themselves, texts their tokens."""
    count = min(most, len(samples.inputs))
    if not samples.texts:
        return Span.exactly(count)
    lengths = sorted(lengths_of(samples.inputs).tolist())
    return Span(sum(lengths[:count]), sum(lengths[len(lengths) - count :]))
