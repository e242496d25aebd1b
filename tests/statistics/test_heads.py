"""The leads of a last layer are the maxima that its weights allow, and random features fall where they must."""

import math

import pytest
import torch

from gate.statistics.heads import Leads, entropy, indicators, leads, probe_shares


def weights(count=5, width=7, seed=0):
    """Return random weights (K, D)."""
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def test_leads_are_the_best_of_all_corners():
    """No feature vector of zeros and ones leads a rival by more than the closed form, and one leads by as much."""
    weight = weights()
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 7)
    scores = corners @ weight.T
    best = (scores.unsqueeze(2) - scores.unsqueeze(1)).amax(dim=0)
    best[torch.eye(5, dtype=torch.bool)] = float("inf")
    found = leads(weight)
    assert torch.allclose(found.nearest, best.amin(dim=1), atol=1e-5)
    best[torch.eye(5, dtype=torch.bool)] = 0
    assert torch.allclose(found.mean, best.sum(dim=1) / 4, atol=1e-5)


def test_what_all_rows_share_does_not_matter(monkeypatch):
    """A vector added to every row changes no lead, and neither do blocks of rows that bound the memory."""
    weight = weights()
    found, shifted = leads(weight), leads(weight + 3 * torch.arange(7.0))
    monkeypatch.setattr("gate.statistics.heads._BLOCK", 36)
    blocks = leads(weight)
    for other in (shifted, blocks):
        assert torch.allclose(found.nearest, other.nearest, atol=1e-4)
        assert torch.allclose(found.mean, other.mean, atol=1e-4)


def test_an_indicator_is_high_only_by_both_leads():
    """The scale of the weights cancels; a class that is far by one view alone is not far."""
    both = indicators(Leads(torch.tensor([1.0, 2.0, 3.0, 20.0]), torch.tensor([2.0, 3.0, 4.0, 30.0])))
    one = indicators(Leads(torch.tensor([1.0, 2.0, 3.0, 20.0]), torch.tensor([2.0, 3.0, 4.0, 3.0])))
    scaled = indicators(Leads(torch.tensor([7.0, 14.0, 21.0, 140.0]), torch.tensor([14.0, 21.0, 28.0, 210.0])))
    assert both[3] > 10
    assert one[3] < 1
    assert scaled == pytest.approx(both)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_equal_rows_give_finite_indicators(value):
    """Where no row stands apart every indicator is zero."""
    assert indicators(leads(torch.full((4, 3), value))) == [0.0] * 4


def test_probes_fall_to_the_class_that_all_features_favour():
    """One row above the others takes every probe; a row far below by its bias takes none; shares add up to one."""
    generator = torch.Generator().manual_seed(0)
    weight = weights(4, 6)
    weight[2] = weight.amax(dim=0) + 1
    assert probe_shares(weight, torch.zeros(4), 500, generator)[2] == 1
    shares = probe_shares(weights(4, 6), torch.tensor([0.0, 0.0, 0.0, -50.0]), 500, generator)
    assert shares[3] == 0
    assert float(shares.sum()) == pytest.approx(1)


def test_probes_in_blocks_are_as_many(monkeypatch):
    """Memory is bounded, and every probe is counted once."""
    monkeypatch.setattr("gate.statistics.heads._BLOCK", 100)
    shares = probe_shares(weights(), torch.zeros(5), 333, torch.Generator().manual_seed(0))
    assert float(shares.sum()) == pytest.approx(1)
    assert float((shares * 333).sum()) == pytest.approx(333)


def test_layers_without_weights_are_probed_too():
    """A layer of zeros gives all to its largest bias, or to the first class; nothing is NaN."""
    zeros = torch.zeros(3, 4)
    assert probe_shares(zeros, torch.zeros(3), 10, torch.Generator()).tolist() == [1, 0, 0]
    assert probe_shares(zeros, torch.tensor([0.0, 1.0, 0.0]), 10, torch.Generator()).tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("shares", "expected"), [([0.25] * 4, 1.0), ([1.0, 0.0], 0.0), ([1.0], 0.0), ([0.5, 0.5, 0.0], math.log(2, 3))]
)
def test_entropy_is_between_one_class_and_all_alike(shares, expected):
    """Equal shares have one, a single class has none."""
    assert entropy(torch.tensor(shares)) == pytest.approx(expected, abs=1e-6)
