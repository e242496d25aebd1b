"""The usual mistakes with samples, tried on a model that gets few of them right; judging puts the results into words.

A few passes, and only where the accuracy is too low for anything measured on these samples to count.
"""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch

from gate.judging.accuracy import SAID
from gate.records.errors import UnexaminableError
from gate.records.samples_evidence import Change, Trial
from gate.spaces.image.preprocessing import Preprocessing
from gate.spaces.subject import Samples
from gate.statistics.subsets import balanced
from gate.worker.loading.judged import Examined

MOST_SAMPLES = 128
"""Samples tried with each change, an equal share of each class."""
MOST_CLASSES = 2000
"""Most classes whose numbering is searched for."""
_PER_CLASS = 5
"""Samples of a class below which some numbering of the classes fits by chance."""
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
Logits = Callable[[torch.Tensor], torch.Tensor]


def tried(
    logits: Logits, clean: Samples, predicted: torch.Tensor, classes: int, given: Preprocessing
) -> tuple[Trial, ...]:
    """Return the share of samples that the model gets right under each usual change of them, or of their labels.

    `predicted` are its first choices on all samples as they are; `given` is the policy's preprocessing.
    """
    assert clean.labels is not None
    plus, mixed = renumbered(clean.labels, predicted, classes)
    return (*plus, *changed(lambda _x: logits, balanced(clean, MOST_SAMPLES, 0), given), *mixed)


def renumbered(labels: torch.Tensor, predicted: torch.Tensor, classes: int) -> tuple[list[Trial], list[Trial]]:
    """Return the accuracy under labels one lower or higher, and under the best numbering of the classes."""
    by_one = list(_renumbered_by_one(labels, predicted, classes))
    return by_one, list(_renumbered(labels.cpu(), predicted.cpu(), classes))


def why_not_finite(read: Callable[[torch.Tensor], Examined], clean: Samples, given: Preprocessing) -> str:
    """Return the change under which a model that yields NaN on its samples does not, as the beginning of a sentence.

    `read` reads the model with changed inputs; empty where no change helps, or without labels.
    """
    if clean.labels is None:
        return ""
    trials = list(changed(lambda x: read(x).logits, balanced(clean, MOST_SAMPLES, 0), given))
    best = max(trials, key=lambda one: one.accuracy, default=None)
    if best is None:
        return ""
    said, mend = SAID[best.change]
    greatest = float(clean.inputs.max())
    return f"values reach {greatest:.4g}, and {said} the model gets {best.accuracy:.0%} right: {mend}; as they are, "


def changed(build: Callable[[torch.Tensor], Logits], few: Samples, given: Preprocessing) -> Iterator[Trial]:
    """Yield the accuracy under each change of the inputs; `build` is given changed inputs and returns the model.

    A change under which the model yields no finite scores is left out.
    """
    assert few.labels is not None
    for change, inputs in _changes(few.inputs, given).items():
        try:
            with torch.no_grad():
                scores = build(inputs)(inputs)
        except (UnexaminableError, RuntimeError):  # the model breaks on these values
            continue
        if torch.isfinite(scores).all():
            right = float((scores.argmax(dim=1) == few.labels).float().mean())
            yield Trial(change=change, accuracy=right)


def _changes(inputs: torch.Tensor, given: Preprocessing) -> Mapping[Change, torch.Tensor]:
    """Return the inputs under each mistake that is possible with them, the plainest first."""
    low, high = float(inputs.min()), float(inputs.max())
    unit = inputs / 255 if high > 1 else inputs
    found: dict[Change, torch.Tensor] = {}
    if high > 1:
        found["divided-by-255"] = inputs / 255
    elif low >= 0:
        found["times-255"] = inputs * 255
    if given.mean is not None and given.std is not None:
        found["not-normalised"] = inputs * given.std + given.mean
    else:
        if inputs.shape[1] == len(_IMAGENET[0]):
            mean, std = (torch.tensor(values, device=inputs.device).view(1, -1, 1, 1) for values in _IMAGENET)
            found["imagenet-statistics"] = (unit - mean) / std
        found["to-minus-one-and-one"] = unit * 2 - 1
        spread = inputs.std(dim=(0, 2, 3), keepdim=True)
        found["standardised"] = (inputs - inputs.mean(dim=(0, 2, 3), keepdim=True)) / spread.clamp_min(1e-6)
    if inputs.shape[1] == 3:
        found["channels-reversed"] = inputs.flip(1)
    if inputs.shape[2] == inputs.shape[3]:
        found["axes-exchanged"] = inputs.transpose(2, 3).contiguous()
    found["inverted"] = low + high - inputs
    return found


def _renumbered_by_one(labels: torch.Tensor, predicted: torch.Tensor, classes: int) -> Iterator[Trial]:
    if int(labels.min()) > 0:
        yield Trial(change="labels-minus-one", accuracy=float((predicted == labels - 1).float().mean()))
    if int(labels.max()) < classes - 1:
        yield Trial(change="labels-plus-one", accuracy=float((predicted == labels + 1).float().mean()))


def _renumbered(labels: torch.Tensor, predicted: torch.Tensor, classes: int) -> Iterator[Trial]:
    """Yield the accuracy under the best one-to-one numbering of the classes, if there are enough samples."""
    if classes > MOST_CLASSES or len(labels) < _PER_CLASS * len(torch.unique(labels)):
        return
    from scipy.optimize import linear_sum_assignment  # slow to import, and seldom needed

    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (labels.numpy(), predicted.numpy()), 1)
    rows, columns = linear_sum_assignment(counts, maximize=True)
    yield Trial(change="classes-renumbered", accuracy=float(counts[rows, columns].sum() / len(labels)))
