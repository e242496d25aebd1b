"""What a space promises, for each of them."""

import pytest
import torch
from torch import nn

from gate import spaces
from gate.records.facts import ModelFacts
from gate.spaces.contract import EVERY
from gate.spaces.image.preprocessing import Preprocessing
from gate.worker.loading.module_classifier import ModuleClassifier

INPUTS = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def images():
    """Return a classifier of images."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    return ModuleClassifier.of(net, INPUTS, Preprocessing(), (0.0, 1.0))


def test_a_space_is_loaded_by_the_id_that_it_has():
    """Every kind of input that a detector may name has its folder."""
    for space in EVERY & set(spaces._FOLDERS):
        assert spaces.load(space).id == space


def test_images_are_their_own_relaxation(images):
    """The model is differentiable in them, and gives the same there."""
    relaxed = spaces.load("images").relax(images, INPUTS)
    assert torch.equal(relaxed.point, INPUTS)
    assert torch.equal(relaxed.logits(relaxed.point), images.logits(INPUTS))


def test_the_facts_of_a_space_are_fields_of_the_evidence(images):
    """Images have the shape of one of them, and are what evidence means where it says nothing."""
    facts = ModelFacts().model_copy(update=dict(spaces.load("images").facts(images)))
    assert facts.input_shape == (1, 8, 8)
    assert facts.space == images.space == "images"
    assert "space" not in facts.model_dump()
