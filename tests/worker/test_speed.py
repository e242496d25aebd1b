"""A short timing of a model: how many samples it asks for, by a clock that stands until the model moves it."""

import pytest
import torch

from gate.records.passes import Speed
from gate.worker import speed


class Machine:
    """A model and its clock: a pass takes so long however few samples there are, and each of them so long."""

    def __init__(self, each, once=0.0):
        self.now, self.asked, self._each, self._once = 0.0, [], each, once

    def quick_logits(self, x):
        """Map (N, C, H, W) to scores; with gradients it takes twice as long."""
        self.asked.append((len(x), x.requires_grad))
        self.now += (self._once + self._each * len(x)) * (1 + x.requires_grad)
        return x.flatten(1)


@pytest.fixture
def timed(monkeypatch):
    """Return the function that times a machine."""

    def time(machine, samples=10, most=2048):
        monkeypatch.setattr(speed, "now", lambda _tensor: machine.now)
        return speed.speed_of(machine, torch.rand(samples, 1, 2, 2), most)

    return time


def test_a_large_net_is_asked_for_a_few_samples_once(timed):
    """A pass of seconds says enough."""
    machine = Machine(each=1.0)
    assert timed(machine) == Speed(1.0, 2.0)
    assert machine.asked == [(4, False), (4, True)]


def test_a_pass_that_is_over_at_once_is_tried_with_more_samples(timed):
    """What every pass takes beside its samples is shared by as many as a search's step has."""
    machine = Machine(each=1e-5, once=1e-3)
    found = timed(machine)
    assert found.forward == pytest.approx(1e-5 + 1e-3 / 256)
    assert max(machine.asked) == (256, True)


def test_memory_bounds_the_samples_at_once(timed):
    """As it does in a detector; fewer samples than that are taken more than once."""
    machine = Machine(each=1e-5)
    timed(machine, samples=3, most=2)
    assert {count for count, _ in machine.asked} == {2}


def test_the_first_pass_may_prepare_what_the_next_finds(timed):
    """The quicker of two counts."""

    class Warming(Machine):
        def quick_logits(self, x):
            self.now += 0.5 if len(self.asked) == 0 else 0.0
            return super().quick_logits(x)

    assert timed(Warming(each=0.02)).forward == pytest.approx(0.02)


def test_the_samples_are_left_as_they_were(timed):
    """No gradient stays with them."""
    machine, inputs = Machine(each=1.0), torch.rand(4, 1, 2, 2, requires_grad=True)
    speed.speed_of(machine, inputs, 8)
    assert inputs.grad is None


class Reader(Machine):
    """A model of tokens: a pass takes so long for each of them, and three times as long with the way back."""

    space, embeddings = "tokens", torch.ones(9, 2)

    def quick_logits(self, x):
        """Map (N, L) to scores."""
        self.asked.append(tuple(x.shape))
        self.now += self._once + self._each * x.numel()
        return x.float().sum(dim=1, keepdim=True)

    def quick_embedded(self, points, lengths):
        """Map (N, L, D) to scores."""
        self.asked.append(tuple(points.shape[:2]))
        self.now += 3 * (self._once + self._each * int(lengths.sum()))
        return points.sum(dim=(1, 2))


def test_a_token_is_timed_by_a_text_of_middle_length(monkeypatch):
    """As many times as make the pass long enough; texts of other lengths would not meet in it."""
    machine = Reader(each=1e-4)
    monkeypatch.setattr(speed, "now", lambda _tensor: machine.now)
    texts = torch.tensor([[2, 2, 2, 2, 2], [3, 3, 3, -1, -1], [4, -1, -1, -1, -1]])
    assert speed.speed_of_tokens(machine, texts, 2048) == Speed(pytest.approx(1e-4), pytest.approx(3e-4))
    assert {length for _, length in machine.asked} == {3}
    assert max(count for count, _ in machine.asked) == 256


def test_a_model_whose_tokens_no_gradient_reaches_is_timed_without(monkeypatch):
    """What needs gradients says so itself, and plans nothing."""
    machine = Reader(each=1.0)
    machine.embeddings = None
    monkeypatch.setattr(speed, "now", lambda _tensor: machine.now)
    assert speed.speed_of_tokens(machine, torch.tensor([[2, 2]]), 8) == Speed(1.0, 0.0)
