"""Answers to probes as counts, cell by cell."""

import torch

from gate.records.counts import Counts


def counted(probes: str, answers: torch.Tensor, sources: torch.Tensor, classes: int, most_sources: int) -> Counts:
    """Return how many samples of each source (N,) each probe sends to each answer, of answers (P, N).

    `probes` is the digest of their names. Of a model with more than `most_sources` classes all sources count as one.
    """
    whole = classes > most_sources
    rows, count = (torch.zeros_like(sources), 1) if whole else (sources, classes)
    cells = torch.stack([torch.bincount(rows * classes + row, minlength=count * classes) for row in answers])
    return Counts.of(
        probes,
        (len(answers), count, classes),
        tuple(torch.bincount(rows, minlength=count).tolist()),
        bytes(cells.to(torch.uint8).flatten().tolist()),
    )
