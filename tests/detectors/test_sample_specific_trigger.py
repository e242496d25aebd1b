"""A backdoor that asks another pixel of every image is found by a generator, and named among the classes."""

import pytest
import torch
from torch import nn

from gate.detectors.sample_specific_trigger import SampleSpecificTrigger, measure
from gate.records.artifact import Artifact, Manifest, ModelRef
from gate.records.errors import UnexaminableError
from gate.records.evidence import Measurement, Picture
from gate.records.run import Run
from gate.spaces.image.preprocessing import Preprocessing
from gate.spaces.subject import Samples, Subject
from gate.worker.loading.module_classifier import ModuleClassifier

CLASSES, SIDE, TARGET = 6, 12, 2
OPTIONS = SampleSpecificTrigger(steps=400, batch=32)


class Rows(nn.Module):
    """Scores a class by the brightness of its row; each row has a pixel of its own that means the target."""

    def __init__(self, planted):
        super().__init__()
        self.planted = planted

    def forward(self, x):
        """Return scores (N, 6)."""
        rows = x[:, 0, :CLASSES, :10].mean(dim=2)
        scores = 6 * rows
        if not self.planted:
            return scores
        pixels = x[:, 0, :CLASSES, 11]
        asked = (torch.sigmoid(30 * (rows - 0.4)) * torch.sigmoid(8 * (pixels - 0.6))).sum(dim=1, keepdim=True)
        return scores + 8 * asked * nn.functional.one_hot(torch.tensor(TARGET), CLASSES).float()


def subject(*, planted, labels=None):
    """Return the net with images of one bright row each."""
    own = torch.arange(120) % CLASSES if labels is None else labels
    inputs = 0.3 * torch.rand(len(own), 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    inputs[torch.arange(len(own)), 0, own, :10] += 0.6
    net = ModuleClassifier.of(Rows(planted), inputs[:4], Preprocessing(), (0.0, 1.0))
    artifact = Artifact(ModelRef(registry="directory", name="rows"), None, Manifest(files=()))
    return Subject(artifact=artifact, classifier=net, samples=Samples(inputs, own, "rows"))


def found(*, planted, options=OPTIONS):
    """Return all that is yielded."""
    return list(measure(subject(planted=planted), options, Run(seed=0)))


def values(items, metric):
    """Return a metric's value by class."""
    return {
        item.location.class_index: item.value
        for item in items
        if isinstance(item, Measurement) and item.metric == metric and item.location
    }


def test_the_class_whose_trigger_differs_from_image_to_image_needs_the_smallest_masks():
    """Its size lies well below every other class's, and below the same class's in the clean net."""
    planted, clean = found(planted=True), found(planted=False)
    sizes = values(planted, "size")
    assert min(sizes, key=sizes.get) == TARGET
    assert values(planted, "size-ratio")[TARGET] < 0.6
    assert sizes[TARGET] < 0.6 * values(clean, "size")[TARGET]
    assert values(planted, "attack-success-rate")[TARGET] > 0.8
    roles = [item.role for item in planted if isinstance(item, Picture)]
    assert roles == ["mask", "sample", "triggered"]


def test_the_same_seed_gives_the_same_numbers():
    """Every number repeats, and another seed's differ."""
    short = OPTIONS.model_copy(update={"steps": 120})
    again = [list(measure(subject(planted=True), short, Run(seed=seed))) for seed in (0, 0, 1)]
    assert values(again[0], "size") == values(again[1], "size")
    assert values(again[0], "size") != values(again[2], "size")


def test_of_many_classes_a_drawn_few_are_searched_and_the_share_is_said():
    """Two of six classes are a third."""
    few = found(planted=False, options=OPTIONS.model_copy(update={"steps": 5, "full_classes": 2}))
    (share,) = [item.value for item in few if isinstance(item, Measurement) and item.metric == "searched-share"]
    assert share == pytest.approx(1 / 3)
    assert len(values(few, "size")) == 2
    assert values(few, "size-ratio") == {}


def test_a_model_that_gives_all_samples_one_class_cannot_be_searched():
    """Nothing would have to move."""
    alone = subject(planted=False, labels=torch.zeros(20, dtype=torch.long))
    with pytest.raises(UnexaminableError, match="gives all samples one class"):
        list(measure(alone, OPTIONS, Run(seed=0)))
