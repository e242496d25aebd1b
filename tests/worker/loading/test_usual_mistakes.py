"""What only running the candidate shows: usual mistakes tried on a model that gets few samples right, and named."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from gate.judging.accuracy import SAID, likely_cause
from gate.records.errors import UnexaminableError
from gate.records.sample_settings import SampleSettings
from gate.records.samples_evidence import SamplesEvidence, Trial
from gate.spaces.image.likely_causes import beyond_bounds
from gate.spaces.image.preprocessing import Preprocessing
from gate.spaces.image.samples import arrange, labels_of
from gate.spaces.image.stored import RawSamples
from gate.spaces.subject import Samples
from gate.worker.loading.mistakes import tried, why_not_finite
from gate.worker.loading.module_classifier import ModuleClassifier
from gate.worker.loading.scores import NotFiniteError

CLASSES, SHAPE = 10, (3, 8, 8)
SEEDED = torch.Generator().manual_seed(0)
# Of different brightness, colour and direction, so that each mistake tells.
PROTOTYPES = (
    torch.rand((CLASSES, 3, 1, 1), generator=SEEDED) ** 3
    * torch.rand((CLASSES, 1, 8, 1), generator=SEEDED) ** 4
    * torch.linspace(0.2, 1, CLASSES).view(-1, 1, 1, 1)
).expand(-1, -1, -1, 8)


class Nearest(nn.Module):
    """A classifier that is right on inputs in [0, 1]: it gives the nearest prototype's class."""

    def forward(self, x):
        """Score each class by its distance."""
        return -torch.cdist(x.flatten(1), PROTOTYPES.flatten(1))


def clean(count=100):
    """Return images in [0, 1] near their class's prototype, and their labels."""
    noise = torch.rand((count, *SHAPE), generator=torch.Generator().manual_seed(1))
    labels = torch.arange(count) % CLASSES
    return (PROTOTYPES[labels] + 0.02 * noise).clamp(0, 1), labels


X, Y = clean()
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


class After(Nearest):
    """The same for inputs on which something was done."""

    def __init__(self, undo):
        super().__init__()
        self.undo = undo

    def forward(self, x):
        """Undo it first."""
        return super().forward(self.undo(x))


def seen(model, inputs, labels, given=None):
    """Return the evidence of a model that gets too little right, as the scan worker makes it."""
    given = given or Preprocessing()
    classifier = ModuleClassifier.of(model, inputs[:4], given, (float(inputs.min()), float(inputs.max())))
    samples = Samples(inputs, labels, "clean.npz")
    with torch.no_grad():
        predicted = classifier.logits(inputs).argmax(dim=1)
    return SamplesEvidence(
        source="clean.npz",
        sha256="0" * 64,
        count=len(inputs),
        classes_present=CLASSES,
        accuracy=float((predicted == labels).float().mean()),
        greatest=float(inputs.max()),
        tried=tried(classifier.logits, samples, predicted, CLASSES, given),
    )


RENUMBERED = torch.randperm(CLASSES, generator=torch.Generator().manual_seed(3))
SHARP = Preprocessing(torch.full((1, 1, 1, 1), 0.5), torch.full((1, 1, 1, 1), 0.01))
MISTAKES = {
    "divided-by-255": (Nearest(), X * 255, Y, None),
    "times-255": (After(lambda x: x / 255), X, Y, None),
    "channels-reversed": (After(lambda x: x.flip(1)), X, Y, None),
    "axes-exchanged": (After(lambda x: x.transpose(2, 3)), X, Y, None),
    "inverted": (After(lambda x: 1 - x), X, Y, None),
    "imagenet-statistics": (After(lambda x: x * STD + MEAN), X, Y, None),
    "to-minus-one-and-one": (After(lambda x: (x + 1) / 2), X, Y, None),
    "not-normalised": (Nearest(), X, Y, SHARP),
    "labels-plus-one": (After(lambda x: x), X, (Y - 1).clamp(min=0), None),
    "classes-renumbered": (Nearest(), X, RENUMBERED[Y], None),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_usual_mistake_is_named_with_both_accuracies_and_the_mend(mistake):
    """What helps is tried on the model itself; the sentence begins with the cause."""
    model, inputs, labels, given = MISTAKES[mistake]
    evidence = seen(model, inputs, labels, given)
    cause = likely_cause(evidence, CLASSES)
    said, mend = SAID[mistake]
    best = next(one.accuracy for one in evidence.tried if one.change == mistake)
    assert cause == (
        f"The samples are not what the model expects: values reach {evidence.greatest:.4g} and its accuracy is "
        f"{evidence.accuracy:.0%} as they are, {best:.0%} {said}: {mend}."
    )


def test_the_evidence_of_trials_crosses_the_border():
    """It is JSON again, and left out where nothing was tried, so that earlier evidence keeps its digest."""
    evidence = seen(Nearest(), X * 255, Y)
    assert SamplesEvidence.from_json(evidence.canonical_json()) == evidence
    untried = evidence.model_copy(update={"tried": (), "greatest": None})
    assert b"tried" not in untried.canonical_json()
    assert b"greatest" not in untried.canonical_json()


@pytest.mark.parametrize("count", [20, 100])
def test_a_model_that_guesses_has_no_cause(count):
    """Nothing helps a model that knows nothing, and few samples of a class fit no numbering by chance."""
    inputs, labels = clean(count)
    guessing = nn.Sequential(nn.Flatten(), nn.Linear(192, CLASSES))
    torch.manual_seed(5)
    nn.init.normal_(guessing[1].weight)
    assert likely_cause(seen(guessing, inputs, labels[torch.randperm(count)]), CLASSES) == ""


@pytest.mark.parametrize(
    "tried_", [(), (Trial(change="inverted", accuracy=0.19),), (Trial(change="classes-renumbered", accuracy=0.5),)]
)
def test_what_helps_too_little_is_no_cause(tried_):
    """A trial must stand clear of chance, and of the accuracy as it is."""
    low = SamplesEvidence(source="", sha256="0" * 64, count=9, classes_present=9, accuracy=0.1, tried=tried_)
    assert likely_cause(low, CLASSES) == ""
    assert likely_cause(low.model_copy(update={"accuracy": None}), CLASSES) == ""


def overflowing(x):
    """Yield NaN on large values, as a network of half precision does."""
    return torch.where(x.amax(dim=(1, 2, 3), keepdim=True) > 2, torch.nan, x)


def test_nan_scores_are_told_with_what_ends_them():
    """The likely cause comes first."""
    samples = Samples(X * 255, Y, "clean.npz")

    def read(x):
        return ModuleClassifier.of(After(overflowing), x[:4], Preprocessing(), (0, 1))

    with pytest.raises(NotFiniteError):
        read(samples.inputs)
    cause = why_not_finite(read, samples, Preprocessing())
    assert re.match(r"values reach \d+\.?\d*, and divided by 255 the model gets \d+% right: save the samples", cause)
    assert why_not_finite(read, Samples(samples.inputs, None, ""), Preprocessing()) == ""


SHAPES = {
    "another size": (
        (9, 1, 32, 32),
        (1, 28, 28),
        None,
        "the samples are 32 × 32 and the program declares 28 × 28: resize",
    ),
    "grey for colour": (
        (9, 1, 8, 8),
        (3, 8, 8),
        None,
        "the samples have 1 channel and the program declares 3 channels",
    ),
    "colour for grey": (
        (9, 8, 8, 3),
        (1, 8, 8),
        None,
        "the samples have 3 channels and the program declares 1 channel: ",
    ),
    "transparency": ((9, 8, 8, 4), (3, 8, 8), None, "the samples have 4 channels .* leave out the fourth"),
    "turned": ((9, 1, 8, 6), (1, 6, 8), None, "8 × 6 and the program declares 6 × 8: exchange height and width"),
    "last": ((9, 8, 8, 3), (3, 8, 8), "NCHW", "have their channels last, and the policy states the layout NCHW"),
    "first": ((9, 3, 8, 8), (3, 8, 8), "NHWC", "have their channels first, and the policy states the layout NHWC"),
    "no images": ((9, 1, 8, 8), (16,), None, "the model takes rows of 16 numbers"),
    "no such layout": (
        (9, 8, 8),
        (1, 8, 8),
        "NCHW",
        "the samples have shape .* is not the layout 'NCHW'",
    ),
}


@pytest.mark.parametrize("case", SHAPES)
def test_another_shape_is_told_by_its_cause_first(case):
    """The sizes or channels of both, and what to do; the whole shapes follow."""
    stored, wanted, layout, said = SHAPES[case]
    with pytest.raises(UnexaminableError, match=f"^the (samples|model) .*{said.split(' ', 2)[-1]}") as caught:
        arrange(RawSamples(np.zeros(stored), None, ""), wanted, SampleSettings(layout=layout))
    assert str(stored) in str(caught.value)


LABELS = {
    "from one": ([1, 10], "the labels run from 1 to 10; the model's classes are 0 to 9: subtract one"),
    "shifted": ([5, 14], "run from 5 to 14; the model's classes are 0 to 9: subtract 5"),
    "negative": ([-1, 3], "leave out samples without a class"),
    "too many": ([0, 99], "another task's"),
}


@pytest.mark.parametrize("case", LABELS)
def test_labels_that_are_no_class_of_the_model_are_told_with_the_mend(case):
    """Both ranges, and the likely cause."""
    labels, said = LABELS[case]
    with pytest.raises(UnexaminableError, match=said):
        labels_of(RawSamples(np.zeros((2, 1, 8, 8)), np.asarray(labels), ""), CLASSES)


NORMALISED = {
    "about [-1.8, 2.2]": (
        (-1.799, 2.17994),
        r"'bounds: \[-1.8, 2.2\]'.*'mean' and 'std' \(about 0.45 and 0.25 if pixels",
    ),
    "ImageNet's": ((-2.1179, 2.64), r"'bounds: \[-2.2, 2.7\]'.*\[0.485, 0.456, 0.406\] and \[0.229, 0.224, 0.225\]"),
    "nothing above zero": ((-3.0, 0.0), r"'bounds: \[-3, 0\]' under 'samples' in the policy to examine them so$"),
}


@pytest.mark.parametrize("case", NORMALISED)
def test_normalised_values_are_told_both_ways_out_with_their_numbers(case):
    """Bounds for the samples as they are, or the raw images with mean and std."""
    found, said = NORMALISED[case]
    assert re.search(said, beyond_bounds(found, (0.0, 1.0), stated=False))
