"""Clustering of activations: reduction, two-means, density clusters, silhouette, and neurons that separate clusters.

Chen et al., "Detecting Backdoor Attacks on Deep Neural Networks by Activation Clustering", SafeAI 2019. scikit-learn
does the mathematics; this module fixes seeds and settings and keeps results of degenerate input finite.
"""

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import DBSCAN, KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

Array = NDArray[Any]

MIN_SAMPLES = 8
"""Fewest activations for which a split in two means anything."""


@dataclass(frozen=True)
class Clusters:
    """A split of N activations in two, and how well it separates them."""

    labels: Array
    """Clusters by k-means, (N,): 0 or 1, of which 1 is the smaller."""
    silhouette: float
    """Mean silhouette of the two-means split, -1 to 1; 0 where all activations are equal."""
    relative_size: float
    """Share of the smaller cluster, 0 to 0.5."""
    density_clusters: int
    """Number of clusters that DBSCAN finds, without noise."""
    density_noise: float
    """Share of activations that DBSCAN calls noise."""


def reduce(activations: Array, dimensions: int, method: Literal["pca", "t-sne"], seed: int) -> Array:
    """Reduce activations (N, D) to (N, at most `dimensions`); they are centred, and constant neurons are dropped."""
    spread = activations.std(axis=0)
    kept = activations[:, spread > 1e-12 * max(1.0, float(np.abs(activations).max()))]
    if kept.shape[1] == 0:
        return np.zeros((len(activations), 1))
    kept = kept - kept.mean(axis=0)
    wanted = min(dimensions, kept.shape[1], len(kept) - 1)
    if method == "t-sne":
        perplexity = min(30.0, (len(kept) - 1) / 3)
        return np.asarray(
            TSNE(n_components=min(wanted, 2), perplexity=perplexity, random_state=seed).fit_transform(kept)
        )
    return np.asarray(PCA(n_components=wanted, random_state=seed, svd_solver="full").fit_transform(kept))


def split(points: Array, seed: int) -> Clusters:
    """Split reduced activations (N, d) in two and measure the split; fewer than `MIN_SAMPLES` raises ValueError."""
    if len(points) < MIN_SAMPLES:
        raise ValueError(f"{len(points)} activations; clustering needs at least {MIN_SAMPLES}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct points than clusters: handled below
        labels = KMeans(n_clusters=2, n_init=10, random_state=seed).fit(points).labels_
    share = float(labels.mean())
    if share > 0.5:
        labels, share = 1 - labels, 1 - share
    silhouette = 0.0 if len(set(labels.tolist())) < 2 else float(silhouette_score(points, labels))
    density = density_labels(points)
    return Clusters(labels, silhouette, share, len(set(density.tolist()) - {-1}), float((density == -1).mean()))


def density_labels(points: Array, neighbours: int = 5) -> Array:
    """Return DBSCAN's labels (N,), -1 for noise; its radius is the 90th percentile of distances to a neighbour."""
    count = min(neighbours, len(points) - 1)
    distances, _ = NearestNeighbors(n_neighbors=count + 1).fit(points).kneighbors(points)
    radius = float(np.percentile(distances[:, -1], 90))
    if radius <= 0:
        return np.zeros(len(points), dtype=int)
    return np.asarray(DBSCAN(eps=radius, min_samples=count + 1).fit(points).labels_)


def nearest_labels(clean: Array, labels: Array, points: Array, neighbours: int) -> Array:
    """Return the label of most of the nearest clean samples (M, D) for each point (N, D), as (N,)."""
    nearest = KNeighborsClassifier(n_neighbors=min(neighbours, len(clean))).fit(clean, labels)
    return np.asarray(nearest.predict(points))


def neuron_shifts(activations: Array, second: Array) -> Array:
    """Return for each neuron the standardised difference of means, second group minus first, (D,).

    `second` (N,) is true for the second group; a floor under the pooled standard deviation keeps the result finite.
    """
    first_rows, second_rows = activations[~second], activations[second]
    pooled = np.sqrt((first_rows.var(axis=0) + second_rows.var(axis=0)) / 2)
    floor = 1e-6 * max(1.0, float(np.abs(activations).max()))
    return np.asarray((second_rows.mean(axis=0) - first_rows.mean(axis=0)) / np.maximum(pooled, floor))
