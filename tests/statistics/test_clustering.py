"""Reduction and splitting of activations, with scikit-learn beside it and where they degenerate."""

import math

import numpy as np
import pytest
from sklearn.metrics import silhouette_score

from gate.statistics.clustering import MIN_SAMPLES, density_labels, neuron_shifts, reduce, split


def two_groups(first=30, second=10, apart=8.0):
    """Return two Gaussian groups (N, 5) and which rows are of the second."""
    random = np.random.default_rng(0)
    points = random.normal(size=(first + second, 5))
    rows = np.arange(first + second) >= first
    points[rows, 0] += apart
    return points, rows


def test_two_groups_are_found_and_the_smaller_is_called_one():
    """Labels, share and silhouette are those of the two groups."""
    points, rows = two_groups()
    clusters = split(points, seed=0)
    assert np.array_equal(clusters.labels == 1, rows)
    assert clusters.relative_size == 0.25
    assert clusters.silhouette == pytest.approx(silhouette_score(points, rows))


def test_a_clearer_split_has_a_greater_silhouette():
    """The farther apart, the clearer."""
    values = [split(two_groups(apart=apart)[0], seed=0).silhouette for apart in (0.0, 4.0, 16.0)]
    assert values == sorted(values)
    assert values[0] < 0.5 < values[2]


@pytest.mark.parametrize("method", ["pca", "t-sne"])
@pytest.mark.parametrize(
    "points",
    [np.ones((20, 4)), np.zeros((20, 1)), np.eye(8), np.repeat(np.eye(2), 5, axis=0), np.full((9, 3), 1e30)],
    ids=["equal", "zero", "as many as can be", "two points", "huge"],
)
def test_degenerate_activations_stay_finite(points, method):
    """Equal, tiny and huge activations give numbers, whichever reduction is asked for."""
    reduced = reduce(points, 10, method, seed=0)
    assert len(reduced) == len(points)
    assert np.isfinite(reduced).all()
    clusters = split(reduced, seed=0)
    assert math.isfinite(clusters.silhouette)
    assert 0 <= clusters.relative_size <= 0.5
    assert 0 <= clusters.density_noise <= 1


def test_equal_points_are_no_split():
    """Where nothing differs the silhouette is zero and the smaller cluster empty."""
    clusters = split(np.zeros((20, 2)), seed=0)
    assert (clusters.silhouette, clusters.relative_size, clusters.density_clusters) == (0.0, 0.0, 1)


def test_too_few_points_are_an_error():
    """One activation fewer than the least is refused with both numbers."""
    with pytest.raises(ValueError, match=f"{MIN_SAMPLES - 1} activations; clustering needs at least {MIN_SAMPLES}"):
        split(np.zeros((MIN_SAMPLES - 1, 2)), seed=0)


def test_reduction_keeps_at_most_the_dimensions_asked_for():
    """Components are bounded by what is asked, by neurons and by samples; constant neurons do not count."""
    points = np.hstack([two_groups()[0], np.ones((40, 3))])
    assert reduce(points, 3, "pca", 0).shape == (40, 3)
    assert reduce(points, 100, "pca", 0).shape == (40, 5)
    assert reduce(points[:4], 100, "pca", 0).shape == (4, 3)
    assert reduce(points, 100, "t-sne", 0).shape == (40, 2)


@pytest.mark.parametrize("method", ["pca", "t-sne"])
def test_the_same_seed_gives_the_same_split(method):
    """Everything random comes from the seed."""
    points, _ = two_groups()
    one, other = (split(reduce(points, 2, method, 3), 3) for _ in range(2))
    assert np.array_equal(one.labels, other.labels)
    assert one.silhouette == other.silhouette


def test_density_finds_two_groups():
    """DBSCAN's own radius parts groups that are far apart."""
    points, rows = two_groups(first=40, second=40, apart=60.0)
    labels = density_labels(points)
    kept = labels >= 0
    assert len(set(labels[kept])) == 2
    assert len(set(labels[kept & rows])) == 1


def test_the_neuron_that_parts_two_groups_shifts_most():
    """The shift is the difference of means in pooled standard deviations, and keeps its sign."""
    points, rows = two_groups(apart=-8.0)
    shifts = neuron_shifts(points, rows)
    assert np.argmax(np.abs(shifts)) == 0
    expected = points[rows].mean(axis=0) - points[~rows].mean(axis=0)
    pooled = np.sqrt((points[rows].var(axis=0) + points[~rows].var(axis=0)) / 2)
    np.testing.assert_allclose(shifts, expected / pooled)
    assert shifts[0] < 0


def test_a_neuron_without_spread_shifts_finitely():
    """Two constants differ by a finite number of floored deviations."""
    points, rows = np.repeat([[0.0], [1.0]], 5, axis=0), np.repeat([False, True], 5)
    assert np.isfinite(neuron_shifts(points, rows)).all()
