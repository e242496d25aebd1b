"""The spectral gap: scale-free, one for like samples, large for poison of any share, finite where all is equal."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.statistics.spectral import principal_basis, signature, yardsticks

CLASSES, FEATURES = 4, 6
TARGET = 2


def clouds(count, seed, *, spread=1.0):
    """Return activations (N, D) in one Gaussian cloud per class and their labels."""
    random = np.random.default_rng(seed)
    labels = np.arange(count * CLASSES) % CLASSES
    return spread * (random.normal(size=(len(labels), FEATURES)) + 10 * np.eye(CLASSES, FEATURES)[labels]), labels


def gaps(training, labels, *, clean=None):
    """Return the gap of each label against clean clouds."""
    clean, own = clean or clouds(60, 1)
    sticks = yardsticks(clean, own, principal_basis(training, 64))
    return {label: signature(training[labels == label], stick).gap for label, stick in sticks.items()}


def poisoned(share, *, apart=12.0):
    """Return clouds of which that share of one class is moved in one direction, and which rows those are."""
    training, labels = clouds(200, 0)
    rows = np.flatnonzero(labels == TARGET)
    rows = rows[: round(share * len(rows))]
    training[rows, FEATURES - 1] += apart
    return training, labels, rows


def test_samples_like_the_clean_ones_have_a_gap_near_one():
    """Without poison nothing stands out: every class lies between one and two clean deviations."""
    assert all(0.9 < gap < 2 for gap in gaps(*clouds(200, 0)).values())


@pytest.mark.parametrize("share", [0.1, 0.4, 0.8, 1.0])
def test_a_planted_group_is_found_whatever_its_share(share):
    """From a tenth of the class to all of it, as clean-label poison is, its class stands out and no other does."""
    training, labels, _ = poisoned(share)
    found = gaps(training, labels)
    assert max(found, key=found.get) == TARGET
    assert found[TARGET] > 2 * max(gap for label, gap in found.items() if label != TARGET)


@pytest.mark.parametrize("share", [0.1, 0.8])
def test_the_planted_rows_lie_furthest_out(share):
    """Sorted by distance along the direction, the poisoned samples come first, even as the majority."""
    training, labels, rows = poisoned(share)
    clean, own = clouds(60, 1)
    stick = yardsticks(clean, own, principal_basis(training, 64))[TARGET]
    order = np.argsort(-np.abs(signature(training[labels == TARGET], stick).places[:, 0]))
    assert set(np.flatnonzero(labels == TARGET)[order[: len(rows)]]) == set(rows)


def test_wrong_labels_at_random_count_less_than_as_much_poison():
    """A tenth of mislabelled samples points in many directions, poison in one: its gap is clearly the greater."""
    random = np.random.default_rng(2)
    training, labels = clouds(200, 0)
    wrong = random.random(len(labels)) < 0.1
    noisy = np.where(wrong, random.integers(CLASSES, size=len(labels)), labels)
    planted, own, _ = poisoned(0.1, apart=20.0)
    assert max(gaps(training, noisy).values()) < 0.7 * gaps(planted, own)[TARGET]


@given(st.floats(1e-3, 1e6))
def test_the_gap_has_no_scale(spread):
    """Activations in other units give the same gaps."""
    expected = gaps(*clouds(50, 0))
    found = gaps(*clouds(50, 0, spread=spread), clean=clouds(60, 1, spread=spread))
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("value", [0.0, 1.0, 1e6])
def test_equal_activations_are_finite_and_no_gap(value):
    """Where nothing differs there is nothing to see, whatever the value is."""
    training = np.full((20, 3), value)
    stick = yardsticks(training[:8], np.zeros(8), principal_basis(training, 64))[0]
    found = signature(training, stick)
    assert found.gap == pytest.approx(0.0, abs=1e-6)
    assert np.isfinite(found.places).all()
    assert found.places.shape == (20, 2)


def test_one_feature_is_enough():
    """A last layer with a single input gives a gap and two columns of places."""
    random = np.random.default_rng(0)
    training, clean = random.normal(size=(30, 1)), random.normal(size=(30, 1))
    found = signature(training, yardsticks(clean, np.zeros(30), principal_basis(training, 64))[0])
    assert 0.5 < found.gap < 2
    assert found.places.shape == (30, 2)


def test_a_class_of_too_few_clean_samples_gives_no_yardstick():
    """Three samples are no centre; the other classes are measured all the same."""
    clean, labels = clouds(60, 1)
    kept = (labels != 0) | (np.cumsum(labels == 0) <= 3)
    assert sorted(yardsticks(clean[kept], labels[kept], principal_basis(clean, 64))) == [1, 2, 3]
