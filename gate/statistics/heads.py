"""Classes by the last linear layer alone: how far any features can raise each above the others.

With features in [0, 1], the largest lead of class t over class j is the sum of the positive parts of w_t - w_j: the
maximum margin of the layer in closed form, without the network before it. Common parts of the rows cancel, since only
differences of scores matter. Biases are left out: they shift leads, and features decide how far they grow.
"""

import math
from dataclasses import dataclass

import torch

from gate.statistics.outliers import high_side_anomaly_indices

_BLOCK = 2**24
"""Most differences of weights that are held at once."""


@dataclass(frozen=True)
class Leads:
    """The largest leads that features in [0, 1] can give each class, (K,) each."""

    nearest: torch.Tensor
    """Lead over the rival that is hardest to outdo."""
    mean: torch.Tensor
    """Average lead over the rivals."""


def leads(weight: torch.Tensor) -> Leads:
    """Return the largest leads of each row of the weights (K, D) over the other rows, in bounded memory."""
    count, width = weight.shape
    rows = max(1, _BLOCK // (count * width))
    nearest, mean = [], []
    for first in range(0, count, rows):
        part = weight[first : first + rows]
        lead = (part.unsqueeze(1) - weight.unsqueeze(0)).clamp_min(0).sum(dim=2)  # (rows, K); zero for the row itself
        mean.append(lead.sum(dim=1) / max(count - 1, 1))
        own = torch.arange(len(part), device=weight.device)
        lead[own, own + first] = float("inf")
        nearest.append(lead.amin(dim=1))
    return Leads(torch.cat(nearest), torch.cat(mean))


def indicators(found: Leads) -> list[float]:
    """Return by class the smaller of the two leads' robust deviations from the median: an outlier is one by both."""
    nearest, mean = (high_side_anomaly_indices(lead, lead) for lead in (found.nearest.tolist(), found.mean.tolist()))
    return [min(pair) for pair in zip(nearest, mean, strict=True)]


def probe_shares(weight: torch.Tensor, bias: torch.Tensor, probes: int, generator: torch.Generator) -> torch.Tensor:
    """Return the share of random non-negative features that the layer gives each class, (K,).

    The features are half-normal at the scale where weights and biases have equal effect, since the real scale is not
    known without inputs; where all biases are zero the scale does not matter.
    """
    centred, offset = weight - weight.mean(dim=0), bias - bias.mean()
    spread = float(centred.square().sum(dim=1).mean().sqrt())
    scale = float(offset.square().mean().sqrt()) / spread if spread > 0 else 1.0
    counts = torch.zeros(len(weight), dtype=torch.long)
    block = max(1, _BLOCK // max(weight.shape))
    for first in range(0, probes, block):
        features = torch.randn((min(block, probes - first), weight.shape[1]), generator=generator).abs()
        scores = features.to(weight) @ centred.T * (scale or 1.0) + offset
        counts += torch.bincount(scores.argmax(dim=1).cpu(), minlength=len(weight))
    return counts / probes


def entropy(shares: torch.Tensor) -> float:
    """Return the entropy of the shares (K,) over that of equal ones: 1 for equal shares, 0 where one class has all."""
    present = shares[shares > 0]
    return max(0.0, -float((present * present.log()).sum()) / math.log(len(shares))) if len(shares) > 1 else 0.0
