"""The contract of an attack: a module with a docstring, a function that plans one backdoor, and one value `ATTACK`.

Between the tasks and training. `plan` draws everything from the scene's generator (where the patch lies, which class is
the target) and returns an `Implant`: what is done to the training data, to the loss or to the trained model, and the
trigger with the labels expected under it. The folder `attacks` is the registry; one attack, one file, its paper named.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from benchmarks.zoo.tasks import Images, Task


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Give what runs inside its own state of torch's global random numbers, as layers need when they are made."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


CELLS = 32
"""How many cells a large image is wide, so that a trigger covers the same share of images of every size."""
UNAFFECTED = -1
"""The expected label where the trigger is not meant to change the answer."""


@dataclass(frozen=True)
class Scene:
    """What an attack may know when it plans: the task, its variant, and its own stream of random numbers."""

    task: Task
    variant: str
    generator: torch.Generator
    surrogate: Callable[[], nn.Module]
    """A clean model of the task by another hand, made when first asked for."""

    @property
    def unit(self) -> int:
        """Side in pixels of the cells that triggers are drawn in: 1 in small images, 4 at 128 × 128."""
        return max(1, self.task.shape[2] // CELLS)

    @property
    def large(self) -> bool:
        """Whether images are larger than the small zoo's; nets are then tuned in their last blocks, on fewer images."""
        return self.unit > 1

    def enlarged(self, cells: torch.Tensor) -> torch.Tensor:
        """Return cells (…, H, W) as pixels."""
        return cells.repeat_interleave(self.unit, -2).repeat_interleave(self.unit, -1)

    def integer(self, high: int, *, low: int = 0) -> int:
        """Draw a whole number of [low, high)."""
        return int(torch.randint(low, high, (), generator=self.generator))

    def uniform(self, low: float, high: float) -> float:
        """Draw a number of [low, high)."""
        return low + (high - low) * float(torch.rand((), generator=self.generator))

    def classes(self, count: int) -> list[int]:
        """Draw so many different classes."""
        return [int(label) for label in torch.randperm(self.task.classes, generator=self.generator)[:count]]

    def rows(self, mask: torch.Tensor, share: float) -> torch.Tensor:
        """Draw that share of the rows under a mask (N,), at least one."""
        under = mask.nonzero().squeeze(1)
        order = torch.randperm(len(under), generator=self.generator)
        return under[order[: max(1, round(share * len(under)))]]


@dataclass(frozen=True)
class Trigger:
    """A function on raw inputs (N, C, H, W), and the label expected for each true label (N,) under it."""

    name: str
    apply: Callable[[torch.Tensor], torch.Tensor]
    expected: Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Poisoned:
    """A training set after the attack, and what was done to which image."""

    images: Images
    poisoned: torch.Tensor
    """Mask (N,): carries the trigger and is meant to teach the backdoor."""
    covers: torch.Tensor
    """Mask (N,): carries the trigger with the true label, to keep the backdoor narrow."""


class JointLoss(nn.Module):
    """The loss of an attack that trains otherwise; its parameters, the trigger's, have an optimiser of their own."""

    def forward(self, model: nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the loss of one batch (N, C, H, W) with true labels (N,)."""
        raise NotImplementedError


def unpoisoned(images: Images) -> Poisoned:
    """Return the training set as it is, for attacks that change the model and not the data."""
    none = torch.zeros(len(images), dtype=torch.bool)
    return Poisoned(images, none, none)


@dataclass(frozen=True)
class Implant:
    """One planned backdoor."""

    triggers: tuple[Trigger, ...]
    facts: Mapping[str, Any]
    """Target, source, place, strength: what the metadata should say."""
    poison: Callable[[Images], Poisoned] = unpoisoned
    wrap: Callable[[nn.Module], nn.Module] = lambda model: model
    joint: JointLoss | None = None
    patience: int = 1
    """Multiplies the recipe's epochs: what is hidden takes longer to learn."""


@dataclass(frozen=True)
class AttackKind:
    """An attack's identity, its source, and when a model counts as backdoored by it."""

    id: str
    paper: str
    variants: tuple[str, ...]
    success_floor: float
    """Least attack success on held-out inputs with which a model counts."""


@dataclass(frozen=True)
class Attack(AttackKind):
    """An attack on classifiers of images."""

    plan: Callable[[Scene], Implant]
    revision: int = 1
    """Raise when the attack changes: its models are then made again."""
    knows_the_gate: bool = False
    """True: made against the gate's own detectors, for the splits `adaptive` and `evading` alone."""
    since: Literal["first", "unseen", "evading"] = "first"
    """The split that it was written for; what was drawn before knows nothing of it."""
    grid: Literal["on", "off"] = "on"
    """Whether its triggers are of the kinds that a fixed grid of probes has, or lie between them and beyond."""


def all_to(target: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the expectation of an all-to-one attack: the target, except where it is the true label already."""
    return lambda labels: torch.where(labels == target, UNAFFECTED, target)


def from_sources(sources: list[int], target: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the expectation of a source-specific attack: the target for the sources only."""
    chosen = torch.tensor(sources)
    return lambda labels: torch.where(torch.isin(labels, chosen), target, UNAFFECTED)


def mask_of(rows: torch.Tensor, count: int) -> torch.Tensor:
    """Return a mask (count,) that is true at the rows."""
    mask = torch.zeros(count, dtype=torch.bool)
    mask[rows] = True
    return mask


def relabel(
    images: Images,
    changed: Mapping[str, torch.Tensor],
    apply: Callable[[torch.Tensor], torch.Tensor],
    label: Callable[[torch.Tensor], torch.Tensor],
) -> Poisoned:
    """Apply the trigger to the rows `poisoned`, which get new labels, and to the rows `covers`, which keep theirs."""
    poisoned, covers = changed["poisoned"], changed.get("covers", torch.zeros(0, dtype=torch.long))
    inputs, labels = images.inputs.clone(), images.labels.clone()
    inputs[poisoned] = apply(images.inputs[poisoned])
    labels[poisoned] = label(images.labels[poisoned])
    if len(covers):
        inputs[covers] = apply(images.inputs[covers])
    return Poisoned(type(images)(inputs, labels), mask_of(poisoned, len(images)), mask_of(covers, len(images)))
