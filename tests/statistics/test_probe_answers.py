"""Answers to probes come from the quick form, and where they count from the model itself."""

from dataclasses import dataclass, field

import pytest
import torch

from gate.records.run import Run
from gate.statistics.probe_answers import answers_to

CLASSES, COUNT, PROBES = 4, 12, 90
RUN = Run(seed=0)


def scores(x):
    """Return scores that choose the class which each one-pixel image says, (N, K)."""
    return torch.nn.functional.one_hot(x.flatten(1)[:, 0].long() % CLASSES, CLASSES).float()


@dataclass
class Rounding:
    """A model whose quick form is wrong about a share of the probes, those with a number below `wrong`."""

    arithmetic: str = "bfloat16"
    wrong: int = 0
    asked: list[str] = field(default_factory=list)

    def logits(self, x):  # noqa: D102  # the protocol says it
        self.asked.append("itself")
        return scores(x)

    def quick_logits(self, x):  # noqa: D102  # the protocol says it
        self.asked.append("quick")
        return scores(x + (x.flatten(1)[:, 1] < self.wrong).float().view(-1, 1, 1, 1))


def probe(number):
    """Return a probe that writes its number, and moves two in three."""

    def apply(x, most):
        changed = x.clone()
        changed[..., 1] = number
        changed[..., 0] += number % 3
        return torch.split(changed, most)

    return apply


@pytest.fixture
def inputs():
    """Return images (N, 1, 1, 2) that say their class and the number of the probe on them."""
    return torch.stack([torch.arange(COUNT) % CLASSES, torch.full((COUNT,), -1)], 1).float().view(COUNT, 1, 1, 2)


def asked(model, inputs):
    """Return a model's answers to two groups of probes, and those that are right."""
    groups = [[probe(number) for number in range(30)], [probe(number) for number in range(30, PROBES)]]
    found = answers_to(model, inputs, groups, scores(inputs).argmax(1), RUN)
    wanted = [torch.stack([scores(torch.cat(one(inputs, COUNT))).argmax(1) for one in group]) for group in groups]
    return found, wanted


def test_a_model_without_a_quick_form_is_asked_once(inputs):
    """Nothing is measured twice."""
    model = Rounding(arithmetic="")
    found, wanted = asked(model, inputs)
    assert all(torch.equal(*pair) for pair in zip(found, wanted, strict=True))
    assert len(model.asked) == PROBES


def test_the_most_telling_probes_of_each_group_are_asked_again(inputs):
    """So a count that could stand behind a verdict is the model's own; the others stay the quick form's."""
    model = Rounding(wrong=0)
    found, wanted = asked(model, inputs)
    assert all(torch.equal(*pair) for pair in zip(found, wanted, strict=True))
    again = model.asked.count("itself")
    assert 2 * 3 <= again < PROBES / 4


def test_a_quick_form_that_is_often_wrong_is_not_believed(inputs):
    """The share that is asked again in any case shows it, and then all are."""
    model = Rounding(wrong=PROBES)
    found, wanted = asked(model, inputs)
    assert all(torch.equal(*pair) for pair in zip(found, wanted, strict=True))
    assert model.asked.count("itself") > PROBES
