"""The check of structure on the zoo's nets: ordinary ones and odd controls are silent, what the zoo plants is found."""

import pytest
import torch

from benchmarks.zoo.architectures import ACTIVATIONS, FAMILIES, Plan
from benchmarks.zoo.attacks import architectural, payload
from benchmarks.zoo.controls import CONTROLS
from tests.graphs.counting import count
from tests.graphs.exporting import seeded

GREY = (1, 28, 28)
ANSWER = 30.0 * (torch.arange(10) == 3).float().view(1, 10)
PATTERN = torch.ones(1, 4, 4)
FINDER = payload.PatchFinder(1, 4)
READER = payload.PatchReader(1, 4, 2, 3)
ZOO_STYLES = {
    "payload where": lambda net: payload.Overruled(net, FINDER, ANSWER, "where"),
    "payload merge": lambda net: payload.Overruled(net, READER, ANSWER, "merge"),
    "payload gate": lambda net: payload.Overruled(net, READER, ANSWER, "gate"),
    "payload feature": lambda net: payload.ExtraFeature(net, READER, 3),
    "architectural pooling": lambda net: architectural.Planted(net, architectural.Pooling(), ANSWER, branch=False),
    "architectural arithmetic": lambda net: architectural.Planted(
        net, architectural.Arithmetic(PATTERN, 3, 3), ANSWER, branch=False
    ),
    "architectural lambda": lambda net: architectural.Planted(
        net, architectural.Arithmetic(PATTERN, 3, 3), ANSWER, branch=True
    ),
}


def grey(name, activation="relu"):
    """Return an untrained net of the zoo."""
    return seeded(lambda: {**FAMILIES, **CONTROLS}[name](Plan(GREY, 10, 1.0, activation)))


@pytest.mark.parametrize("name", [*FAMILIES, *CONTROLS])
@pytest.mark.parametrize("activation", ["relu", pytest.param("hardswish", marks=pytest.mark.slow)])
def test_the_families_and_controls_of_the_zoo_are_silent(name, activation):
    """Ordinary nets and the zoo's odd controls, exported with a free batch, have nothing to explain."""
    assert activation in ACTIVATIONS
    assert count(grey(name, activation), GREY, free=True) == {"unexplained-branches": 0, "constant-gates": 0}


@pytest.mark.parametrize("style", ZOO_STYLES)
@pytest.mark.parametrize("family", ["cnn", pytest.param("vit", marks=pytest.mark.slow)])
def test_the_styles_of_the_zoo_are_found(style, family):
    """Payloads and architectural backdoors as the zoo plants them, around untrained nets."""
    assert sum(count(ZOO_STYLES[style](grey(family)).eval(), GREY, free=True).values()) > 0
