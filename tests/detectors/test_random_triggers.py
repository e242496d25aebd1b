"""Random triggers go to the class that was taught to take their kind, and the families are what they say."""

import pytest
import torch
from torch import nn

from gate.detectors.random_triggers import FLOOR, RandomTriggers, measure
from gate.records.artifact import Artifact, Manifest, ModelRef
from gate.records.errors import UnexaminableError
from gate.records.run import Run
from gate.spaces.image.drawing import draw
from gate.spaces.image.preprocessing import Preprocessing
from gate.spaces.image.triggers import drawn_families
from gate.spaces.subject import Samples, Subject
from gate.worker.loading.module_classifier import ModuleClassifier

CLASSES, SIDE, TARGET = 5, 16, 3
OPTIONS = RandomTriggers(triggers=12, clean_samples=40)


class Rows(nn.Module):
    """Scores a class by the brightness of its rows; a planted one also takes what is rough from pixel to pixel."""

    def __init__(self, *, planted):
        super().__init__()
        self.planted = planted

    def forward(self, x):
        """Return scores (N, 5)."""
        scores = 6 * x[:, 0, : 3 * CLASSES].unflatten(1, (CLASSES, 3)).mean(dim=(2, 3))
        if not self.planted:
            return scores
        roughness = x.diff(dim=3).abs().mean(dim=(1, 2, 3))
        return scores + 60 * (roughness - 0.08).relu()[:, None] * nn.functional.one_hot(torch.tensor(TARGET), CLASSES)


def subject(*, planted, side=SIDE, bounds=(0.0, 1.0)):
    """Return the net with images of three bright rows each."""
    least, greatest = bounds
    own = torch.arange(40) % CLASSES
    inputs = torch.full((len(own), 1, side, side), 0.2)
    for offset in range(3):
        inputs[torch.arange(len(own)), 0, (3 * own + offset) % side] = 0.8
    net = ModuleClassifier.of(Rows(planted=planted), inputs[:4], Preprocessing(), bounds)
    artifact = Artifact(ModelRef(registry="directory", name="rows"), None, Manifest(files=()))
    raw = least + (greatest - least) * inputs
    return Subject(artifact=artifact, classifier=net, samples=Samples(raw, own, "rows"))


def found(*, planted, seed=0):
    """Return shares by family and class."""
    items = list(measure(subject(planted=planted), OPTIONS, Run(seed=seed)))
    return {(item.metric, item.location.class_index): item.value for item in items}


def test_a_class_that_takes_rough_images_is_seen_by_sinusoids():
    """Its share of them is many times that of the same class of the clean net, and no share is below the floor."""
    planted, clean = found(planted=True), found(planted=False)
    assert len(planted) == len(drawn_families()) * CLASSES
    assert planted["wave-share", TARGET] > 10 * clean["wave-share", TARGET]
    assert planted["wave-share", TARGET] > 0.5
    assert min(clean.values()) >= FLOOR


def test_a_seed_decides_the_triggers():
    """The same seed gives the same numbers, another one others."""
    assert found(planted=True) == found(planted=True)
    assert found(planted=True) != found(planted=True, seed=1)


@pytest.mark.parametrize("family", drawn_families(), ids=lambda family: family.id)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 12, 20)])
def test_every_family_stays_within_the_range_and_changes_images(family, shape):
    """Each trigger yields images of the same shape in [0, 1], leaves its input alone, and differs from the others."""
    x = torch.rand(3, *shape, generator=torch.Generator().manual_seed(1))
    before = x.clone()
    triggered = [apply(x) for apply in draw(family, shape, (0.0, 1.0), 8, seed=0)]
    assert all(one.shape == x.shape and one.min() >= 0 and one.max() <= 1 for one in triggered)
    assert torch.equal(x, before)
    assert all(not torch.allclose(one, x) for one in triggered)
    assert all(not torch.allclose(triggered[i], triggered[j]) for i in range(8) for j in range(i))


def test_the_families_begin_with_other_numbers():
    """Two families' triggers are drawn apart, and a longer draw begins with the shorter one."""
    x = torch.rand(1, 1, 28, 28)
    blend, *_ = (family for family in drawn_families() if family.id == "blend")
    short, long = (list(draw(blend, (1, 28, 28), (0.0, 1.0), count, seed=3)) for count in (2, 5))
    assert all(torch.equal(a(x), b(x)) for a, b in zip(short, long, strict=False))
    assert len({family.stream for family in drawn_families()}) == len(drawn_families())


def test_images_too_small_for_a_patch_are_refused():
    """Three pixels a side hold no trigger that is smaller than the image."""
    small = subject(planted=False)
    tiny = small.classifier
    tiny.input_shape = (1, 3, 3)
    with pytest.raises(UnexaminableError, match="smaller than 4"):
        list(measure(small, OPTIONS, Run(seed=0)))


def test_a_model_of_one_answer_is_refused():
    """Where all samples have one class, nothing can be moved to it."""
    constant = subject(planted=False)
    module = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, CLASSES))
    nn.init.zeros_(module[1].weight)
    net = ModuleClassifier.of(module, constant.samples.inputs[:4], Preprocessing(), (0.0, 1.0))
    with pytest.raises(UnexaminableError, match="one class"):
        list(measure(Subject(constant.artifact, classifier=net, samples=constant.samples), OPTIONS, Run(seed=0)))
