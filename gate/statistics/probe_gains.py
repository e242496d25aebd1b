"""What fixed probes send where, in two versions: how far the newer one's answers exceed the older one's, by class.

A cell is one probe and one answer, over the samples of other classes. What the newer version's log-odds exceed the
older one's by is its gain; the mean of the greatest few of a group of probes stands for a class, since a planted rule
answers to several like probes and a chance to one.
"""

from dataclasses import dataclass

import torch

from gate.spaces.contract import Apply
from gate.spaces.subject import Samples
from gate.statistics.cells import GREATEST, HALF


@dataclass(frozen=True)
class Probes:
    """Probes, and the samples that they are applied to."""

    samples: Samples
    applied: tuple[Apply, ...]
    """Functions on raw inputs (N, C, H, W)."""
    groups: tuple[str, ...]
    """Each one's group."""

    def counts(self, answers: torch.Tensor, classes: int) -> torch.Tensor:
        """Return how many samples of other classes each probe sends to each class, (P, K), of answers (P, N)."""
        moved = torch.ones_like(answers) if self._labels is None else (answers != self._labels).long()
        return torch.zeros(len(answers), classes, dtype=torch.long).scatter_add_(1, answers, moved)

    def others(self, classes: int) -> torch.Tensor:
        """Return the number of samples that are not of each class, (K,); of all samples where they have no labels."""
        count = len(self.samples.inputs)
        if self._labels is None:
            return torch.full((classes,), count)
        return count - torch.bincount(self._labels, minlength=classes)

    @property
    def _labels(self) -> torch.Tensor | None:
        return None if self.samples.labels is None else self.samples.labels.cpu()


@dataclass(frozen=True)
class Gain:
    """How much more of what probes are applied to goes to one class."""

    value: float
    """Mean of the greatest few gains in log-odds, in nats."""
    probe: int
    """Number of the probe that gained most."""
    before: float
    """Share of other classes' samples that it sent to the class."""
    after: float
    """The same share now."""


def gains(old: torch.Tensor, new: torch.Tensor, probes: Probes) -> tuple[Gain, ...]:
    """Return for each class its gain in the group of probes where it gained most, of counts (P, K)."""
    others = probes.others(new.shape[1])
    risen = (_log_odds(new, others) - _log_odds(old, others)).clamp(min=0)
    values, first = zip(*(_greatest(risen, rows) for rows in _rows(probes.groups)), strict=True)
    best, group = torch.stack(values).max(dim=0)
    found = torch.stack(first).gather(0, group[None])[0].tolist()
    shares = [counts / others.clamp(min=1) for counts in (old, new)]
    return tuple(
        Gain(value, probe, *(float(share[probe, index]) for share in shares))
        for index, (value, probe) in enumerate(zip(best.tolist(), found, strict=True))
    )


def least_gain(probes: Probes) -> float:
    """Return the gain of a class that takes one sample of three probes where it took none: no smaller one counts."""
    one, none = torch.tensor([1, 0])[:, None], torch.tensor([len(probes.samples.inputs)])
    found = _log_odds(one, none)
    return float(found[0] - found[1])


def _log_odds(counts: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    return ((counts + HALF) / (others - counts + HALF)).log()


def _rows(groups: tuple[str, ...]) -> list[torch.Tensor]:
    return [torch.tensor([row for row, one in enumerate(groups) if one == group]) for group in dict.fromkeys(groups)]


def _greatest(risen: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean of the greatest few of some rows and the row of the greatest, each (K,); absent ones are 0."""
    few = risen[rows].topk(min(GREATEST, len(rows)), dim=0)
    return few.values.sum(dim=0) / GREATEST, rows[few.indices[0]]
