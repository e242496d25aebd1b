"""Spectral signatures: how far one label's training samples lie, in one direction, from clean samples of that class.

Tran, Li and Madry, "Spectral Signatures in Backdoor Attacks", NeurIPS 2018: poisoned samples share a direction. There
the suspected samples themselves give centre and scale, which clean-label poison, the majority of its class, takes over;
here clean samples give both, as robust estimates do in SPECTRE (Hayase et al., ICML 2021).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

MIN_CLEAN = 4
"""Fewest clean samples of a class that give a centre."""
RIDGE = 1e-2
"""Share of the mean variance that is added to every direction's; none is then without scale."""
NEGLIGIBLE = 1e-12
"""Share of the squared activations below which a variance is rounding."""


@dataclass(frozen=True)
class Yardstick:
    """Scale of a class's clean samples: their centre (D,), and a map (D, d) to d directions of unit variance."""

    centre: Array
    whitening: Array
    count: int
    """Number of its clean samples."""


@dataclass(frozen=True)
class Signature:
    """Position of one label's training samples relative to the clean centre, in clean standard deviations."""

    gap: float
    """Root mean square along the direction in which they lie furthest; about 1 for samples like the clean ones."""
    places: Array
    """Signed places along that direction and the next, (N, 2); 0 for a missing second one."""


def principal_basis(activations: Array, dimensions: int) -> Array:
    """Return the first principal directions (D, at most `dimensions`) of activations (N, D)."""
    centred = activations - activations.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    return np.asarray(directions[:, ::-1][:, : min(dimensions, len(activations))])


def yardsticks(clean: Array, labels: Array, basis: Array) -> dict[int, Yardstick]:
    """Return by label the centre and scale of clean activations (N, D), in the directions of a basis (D, d).

    A class has few samples, so its covariance is shrunk towards the mean of all classes' with the weight of d samples.
    """
    seen = clean @ basis
    parts = {int(label): seen[labels == label] for label in np.unique(labels)}
    parts = {label: rows for label, rows in parts.items() if len(rows) >= MIN_CLEAN}
    if not parts:
        return {}
    covariances = {label: np.atleast_2d(np.cov(rows, rowvar=False)) for label, rows in parts.items()}
    pooled, prior = sum(covariances.values()) / len(covariances), basis.shape[1]
    least = NEGLIGIBLE * max(1.0, float(np.square(clean).max()))
    return {
        label: Yardstick(
            clean[labels == label].mean(axis=0),
            basis @ _whitening((len(rows) * covariances[label] + prior * pooled) / (len(rows) + prior), least),
            len(rows),
        )
        for label, rows in parts.items()
    }


def _whitening(covariance: Array, least: float) -> Array:
    """Return the map (d, d) that gives a covariance (d, d) unit variances; `least` is the floor of a variance."""
    variances, directions = np.linalg.eigh(covariance)
    scale = np.maximum(variances, 0) + RIDGE * max(float(variances.mean()), 0.0)
    return np.asarray(directions / np.sqrt(np.maximum(scale, least)))


def signature(training: Array, yardstick: Yardstick) -> Signature:
    """Return gap and places of one label's training activations (N, D); activations that are all equal have gap 0."""
    seen = (training - yardstick.centre) @ yardstick.whitening
    moments, directions = np.linalg.eigh(seen.T @ seen / len(seen))
    places = seen @ directions[:, ::-1][:, :2]
    if places.shape[1] == 1:
        places = np.concatenate([places, np.zeros_like(places)], axis=1)
    return Signature(float(np.sqrt(max(moments[-1], 0.0))), places)
