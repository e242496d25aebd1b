"""The largest margins are those known in closed form, and depend on nothing but the seed, the class and the start."""

import pytest
import torch
from torch import nn

from gate.records.errors import UnexaminableError
from gate.records.run import DeadlineReachedError, Run
from gate.spaces.image.preprocessing import Preprocessing
from gate.statistics.margins import Settings, margins_of, maximise
from gate.worker.loading.fingerprint import fingerprint
from gate.worker.loading.module_classifier import ModuleClassifier

SETTINGS = Settings(starts=3, steps=12)


def classifier_of(*layers, shape=(1, 4, 4), bounds=(0.0, 1.0)):
    """Return a classifier over a net with fixed random weights."""
    example = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    return ModuleClassifier.of(nn.Sequential(nn.Flatten(), *layers), example, Preprocessing(), bounds)


def linear(weight, bias):
    """Return a linear layer with these weights."""
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer


@pytest.fixture
def net():
    """Return a small curved net of five classes."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return classifier_of(nn.Linear(16, 24), nn.Tanh(), nn.Linear(24, 5))


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-1.0, 3.0), (0.0, 255.0)])
def test_a_linear_model_of_two_classes_has_its_margin_in_closed_form(bounds):
    """Each pixel goes to the bound that favours the class; the margin is the sum over the pixels, and the biases'."""
    weight = torch.randn(2, 16, generator=torch.Generator().manual_seed(1))
    bias = torch.tensor([0.3, -0.2])
    classifier = classifier_of(linear(weight, bias), bounds=bounds)
    found = maximise(classifier, (0, 1), Settings(starts=3, steps=80), Run(seed=0))
    for row, (own, other) in enumerate(((0, 1), (1, 0))):
        difference = weight[own] - weight[other]
        best = torch.where(difference > 0, bounds[1], bounds[0])
        expected = difference @ best + bias[own] - bias[other]
        assert torch.allclose(found.values[row], expected.expand(3), rtol=1e-4)
        assert torch.equal(found.inputs[row].flatten(), best)


def test_the_margin_is_over_the_nearest_rival():
    """With one block of pixels a class, the margin is that of the block, and the other pixels are dark."""
    weight = 2.0 * (torch.arange(16) // 4 == torch.arange(4).unsqueeze(1)).float()
    found = maximise(classifier_of(linear(weight, torch.zeros(4))), (2,), Settings(starts=2, steps=60), Run(seed=0))
    assert found.values[0, 0] == pytest.approx(8.0, rel=0.05)


@pytest.mark.parametrize("target", [0, 2])
def test_margins_of_logits(target):
    """The lead over the largest other score is negative where another class is ahead."""
    margins = margins_of(torch.tensor([[3.0, 1.0, 2.0], [0.0, 0.5, 4.0]]), torch.tensor([target, target]))
    assert margins.tolist() == ([1.0, -4.0] if target == 0 else [-1.0, 3.5])


def test_together_is_as_one_by_one(net):
    """A class's starts climb alike alone and among other classes."""
    together = maximise(net, (0, 1, 2, 3, 4), SETTINGS, Run(seed=3))
    for target in range(5):
        alone = maximise(net, (target,), SETTINGS, Run(seed=3))
        assert torch.allclose(alone.values[0], together.values[target], rtol=1e-3)


@pytest.mark.parametrize("most", [1, 2, 4, 7])
def test_small_batches_give_the_same_margins(net, most):
    """Memory is bounded by the run's largest batch, even below the starts of one class; the answer stays."""
    whole = maximise(net, (0, 1, 4), SETTINGS, Run(seed=0))
    parts = maximise(net, (0, 1, 4), SETTINGS, Run(seed=0, max_batch=most))
    assert torch.allclose(whole.values, parts.values, rtol=1e-3)


def test_no_pass_is_larger_than_the_run_allows(net, monkeypatch):
    """Not one batch exceeds the bound, and the passes are classes times starts times steps, and once more to look."""
    seen, logits = [], net.logits
    monkeypatch.setattr(net, "logits", lambda x: (seen.append(len(x)), logits(x))[1])
    before = net.sample_passes
    maximise(net, (0, 1, 2), SETTINGS, Run(seed=0, max_batch=4))
    assert max(seen) == 4
    assert net.sample_passes - before == 3 * 3 * (12 + 1)


def test_the_seed_alone_decides(net):
    """The same seed gives the same bits, another one other starts."""
    first, second, other = (maximise(net, (0, 3), SETTINGS, Run(seed=seed)) for seed in (5, 5, 6))
    assert torch.equal(first.values, second.values)
    assert torch.equal(first.inputs, second.inputs)
    assert not torch.equal(first.values, other.values)


def test_the_model_is_left_as_it_was(net):
    """No parameter, gradient, hook or mode changes, and the inputs found are free of any graph."""
    before = fingerprint(net)
    found = maximise(net, (0, 1), SETTINGS, Run(seed=0))
    assert fingerprint(net) == before
    assert not found.inputs.requires_grad


def test_the_scale_of_the_scores_does_not_steer(net):
    """Scores a thousand times as large lead to the same inputs, with margins a thousand times as large."""
    found = maximise(net, (0, 1), SETTINGS, Run(seed=0))
    with torch.no_grad():
        net.module[-1].weight *= 1024
        net.module[-1].bias *= 1024
    scaled = maximise(net, (0, 1), SETTINGS, Run(seed=0))
    assert torch.allclose(scaled.inputs, found.inputs, atol=1e-4)
    assert torch.allclose(scaled.values, 1024 * found.values, rtol=1e-3)


class Spoilt:
    """A classifier of three classes, whose scores are not finite for some inputs or for all."""

    num_classes, input_shape, bounds, feature_layer, sample_passes = 3, (1, 4, 4), (0.0, 1.0), "", 0

    def __init__(self, ceiling):
        self.ceiling = ceiling

    arithmetic = ""

    def quick_logits(self, x):  # noqa: D102  # the protocol says it
        return self.logits(x)

    def logits(self, x):
        """Return the means of three parts of the image, or infinity where the first is above the ceiling."""
        means = x.flatten(1)[:, :15].view(-1, 3, 5).mean(dim=2)
        return torch.where(means[:, :1] > self.ceiling, float("inf"), means)


def test_scores_that_are_not_finite_are_passed_over():
    """Where some inputs break the model the margins of the others stand; where all do, that is said."""
    found = maximise(Spoilt(0.7), (0, 1), SETTINGS, Run(seed=0))
    assert torch.isfinite(found.values).all()
    with pytest.raises(UnexaminableError, match="NaN or infinite scores on every random input"):
        maximise(Spoilt(-1.0), (0, 1), SETTINGS, Run(seed=0))


def test_a_model_that_never_changes_gives_its_one_margin():
    """Without a gradient every start stays where it is."""
    layer = linear(torch.zeros(3, 16), torch.tensor([2.0, 1.0, 0.0]))
    found = maximise(classifier_of(layer), (0, 1, 2), SETTINGS, Run(seed=0))
    assert found.values[:, 0].tolist() == [1.0, -1.0, -2.0]


def test_progress_reaches_its_end_and_the_deadline_ends_it(net):
    """Steps are reported in order to the last; a deadline in the past stops at the first."""
    told = []
    maximise(net, (0, 1), SETTINGS, Run(seed=0, max_batch=3, progress=lambda done, total: told.append((done, total))))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (24, 24)
    with pytest.raises(DeadlineReachedError):
        maximise(net, (0, 1), SETTINGS, Run(seed=0, deadline=0.0))
