"""Measures a model of the zoo on held-out images: clean accuracy, attack success, and what the trigger does elsewhere.

After training, before the store. Success is taken over images whose true label is not the expected one already; of
several triggers the mean counts, and the least is given too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from benchmarks.zoo.attack import UNAFFECTED, Implant, Trigger
from benchmarks.zoo.tasks import Images

BATCH = 500
"""Of images of 32 × 32 pixels."""


@dataclass(frozen=True)
class Measured:
    """Shares of held-out images."""

    clean_accuracy: float
    attack_success: float | None = None
    least_success: float | None = None
    """The weakest trigger's success."""
    spill: float | None = None
    """Share of triggered images outside the sources that still become a target; None where all classes are sources."""
    untriggered: float | None = None
    """What success would be without any trigger: the images' own errors towards the target, averaged like it."""


class _Outcome(NamedTuple):
    success: float
    untriggered: float
    spill: float | None


def portion(images: torch.Tensor) -> int:
    """Return how many images (N, C, H, W) are looked at together: fewer, the larger they are."""
    return min(BATCH, max(1, BATCH * 32 * 32 // (images.shape[2] * images.shape[3])))


@torch.no_grad()
def predict(model: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """Return the first choices (N,) for inputs (N, C, H, W)."""
    return torch.cat([model(part).argmax(1) for part in torch.split(inputs, portion(inputs))])


def measure(model: nn.Module, images: Images, implant: Implant | None) -> Measured:
    """Measure on clean images and, where there is a backdoor, under each of its triggers."""
    clean = predict(model, images.inputs)
    triggers: tuple[Trigger, ...] = implant.triggers if implant else ()
    under = [(one.expected(images.labels), predict(model, one.apply(images.inputs))) for one in triggers]
    return judge_answers(images.labels, clean, under)


def judge_answers(
    labels: torch.Tensor, clean: torch.Tensor, under: Sequence[tuple[torch.Tensor, torch.Tensor]]
) -> Measured:
    """Measure by answers (N,) to clean inputs and, for each trigger, by expected and given answers under it."""
    accuracy = _share(clean == labels)
    if not under:
        return Measured(accuracy)
    outcomes = [_under(labels, clean, expected, predicted) for expected, predicted in under]
    successes = [outcome.success for outcome in outcomes]
    spills = [outcome.spill for outcome in outcomes if outcome.spill is not None]
    spill = sum(spills) / len(spills) if spills else None
    untriggered = sum(outcome.untriggered for outcome in outcomes) / len(outcomes)
    return Measured(accuracy, sum(successes) / len(successes), min(successes), spill, untriggered)


def _under(labels: torch.Tensor, clean: torch.Tensor, expected: torch.Tensor, predicted: torch.Tensor) -> _Outcome:
    meant = (expected != UNAFFECTED) & (expected != labels)
    targets = torch.unique(expected[meant])
    others = (expected == UNAFFECTED) & ~torch.isin(labels, targets)
    return _Outcome(
        _share(predicted[meant] == expected[meant]),
        _share(clean[meant] == expected[meant]),
        _share(torch.isin(predicted[others], targets)) if bool(others.any()) else None,
    )


def _share(hits: torch.Tensor) -> float:
    return round(float(hits.float().mean()), 4)
