"""How a layer's weights changed between two versions: by how much, along how many directions, for which classes.

Reference subtraction, as TrojAI's weight classifiers do it; a planted rule tends to be a change of low rank.
"""

import math
from dataclasses import dataclass

import torch

_ROWS = 64


@dataclass(frozen=True)
class WeightChange:
    """The change ΔW of one layer."""

    norm: float
    """‖ΔW‖ over ‖W‖ of the older version, Frobenius."""
    first_share: float
    """Largest singular value over the sum of all; 0 without a change."""
    stable_rank: float
    """‖ΔW‖² over the square of the largest singular value; 0 without a change."""


def weight_change(old: torch.Tensor, new: torch.Tensor, rows: torch.Tensor) -> WeightChange:
    """Compare two weights (out, …), their singular values by the drawn rows alone; NaN or infinity raises."""
    norm = _relative(old, new)
    if not math.isfinite(norm):
        raise ValueError("weights are NaN or infinite")
    chosen = rows.to(old.device)
    values = torch.linalg.svdvals(_narrow((new[chosen].double() - old[chosen].double()).flatten(1)))
    largest = float(values.max())
    if largest == 0:
        return WeightChange(norm, 0.0, 0.0)
    return WeightChange(norm, largest / float(values.sum()), float(values.square().sum()) / largest**2)


def _relative(old: torch.Tensor, new: torch.Tensor) -> float:
    """Return ‖new - old‖ over ‖old‖, a few rows at a time: in double precision a large layer would fill the memory."""
    changed = before = 0.0
    for one, other in zip(torch.split(old, _ROWS), torch.split(new, _ROWS), strict=True):
        changed += float((other.double() - one.double()).square().sum())
        before += float(one.double().square().sum())
    return math.sqrt(changed) / max(math.sqrt(before), 1e-12)


def _narrow(change: torch.Tensor) -> torch.Tensor:
    """Return a matrix with the same singular values and no more columns than rows, as far as that is cheaper."""
    return torch.linalg.qr(change.T, mode="r").R if change.shape[1] > 2 * change.shape[0] else change


def class_shares(old: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    """Return each class's share of the squared change of the last layer's rows (K, D), (K,); zeros without one."""
    squares = (new.double() - old.double()).square().sum(dim=1)
    return squares / squares.sum() if float(squares.sum()) > 0 else squares
