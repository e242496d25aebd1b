"""The spectrum of an update of low rank, scale · B · A, without ever forming it.

With B = Q R and Aᵀ = P S (QR of tall matrices), B · A = Q (R Sᵀ) Pᵀ: its singular values are those of a rank × rank
matrix, and its left vectors are Q times that one's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
FEWEST_FOR_KURTOSIS: Final = 4
"""Fewest singular values whose fourth moment says anything."""


@dataclass(frozen=True)
class Spectrum:
    """The update of one module: singular values, greatest first (rank,), and the first left vector (outputs,)."""

    values: Floats
    left: Floats


def spectrum_of(up: Floats, down: Floats, scale: float) -> Spectrum:
    """Return the spectrum of scale · up (outputs, rank) · down (rank, inputs)."""
    outer, upper = np.linalg.qr(up)
    _, lower = np.linalg.qr(down.T)
    left, values, _ = np.linalg.svd(upper @ lower.T)
    return Spectrum(scale * values, outer @ left[:, 0])


def features(values: Floats) -> dict[str, float]:
    """Return what describes singular values: sizes, and shapes where there is any size.

    σ₁, Frobenius norm √Σσ², σ₁/Σσ, energy share σ₁²/Σσ², stable rank Σσ²/σ₁², entropy of σ²/Σσ² over ln r, kurtosis of
    the values (fourth central moment over the squared variance).
    """
    energy = float(np.sum(values**2))
    found = {"sigma-one": float(values[0]), "frobenius-norm": energy**0.5}
    if not energy > 0:
        return found
    shares = values**2 / energy
    positive = shares[shares > 0]
    found |= {
        "sigma-share": float(values[0] / np.sum(values)),
        "energy-share": float(shares[0]),
        "stable-rank": float(1 / shares[0]),
    }
    if len(values) > 1:
        found["spectral-entropy"] = float(-np.sum(positive * np.log(positive)) / np.log(len(values)))
    variance = float(np.var(values))
    if len(values) >= FEWEST_FOR_KURTOSIS and variance > 0:
        found["kurtosis"] = float(np.mean((values - np.mean(values)) ** 4) / variance**2)
    return found


def agreement(vectors: Sequence[Floats]) -> float | None:
    """Return the mean absolute cosine between first left vectors of one length; None of fewer than two."""
    kept = [vector / np.linalg.norm(vector) for vector in vectors if np.linalg.norm(vector) > 0]
    if len(kept) < 2 or len({len(vector) for vector in kept}) > 1:
        return None
    stacked = np.stack(kept)
    cosines = np.abs(stacked @ stacked.T)
    count = len(kept)
    return float((np.sum(cosines) - count) / (count * (count - 1)))


def magnitude_change(weight: Floats, up: Floats, down: Floats, scale: float, magnitude: Floats) -> float:
    """Return how far DoRA's magnitudes lie from the norms of its directions, ‖m − n‖/‖n‖.

    n are the norms of the rows of W + scale · B · A, by ‖w‖² + 2 s b·(A w) + s² b (A Aᵀ) b for each row w of W
    (outputs, inputs) and b of B: no matrix of that size is formed.
    """
    crossed = np.sum(up * (weight @ down.T), axis=1)
    own = np.sum((up @ (down @ down.T)) * up, axis=1)
    norms = np.sqrt(np.maximum(np.sum(weight**2, axis=1) + 2 * scale * crossed + scale**2 * own, 0.0))
    whole = float(np.linalg.norm(norms))
    return float(np.linalg.norm(magnitude - norms)) / whole if whole > 0 else 0.0


def by_family(vectors: Mapping[tuple[str, int], Floats]) -> dict[str, float]:
    """Return the agreement across layers of each family, by vectors of (family, layer)."""
    families = sorted({family for family, _ in vectors})
    found = {family: agreement([one for (named, _), one in vectors.items() if named == family]) for family in families}
    return {family: value for family, value in found.items() if value is not None}
