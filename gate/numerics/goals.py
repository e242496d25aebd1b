"""What an inversion aims at: a target class from everywhere, or from one source class; and which samples serve it.

Between the samples and the optimiser. A goal without a source leaves out only the target's own samples; a goal with
one takes that class's samples alone, which is how a backdoor for one source class is found (docs/detection.md).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from gate.detector import Run
from gate.errors import UnexaminableError
from gate.evidence import Location
from gate.subject import Classifier, Samples


@dataclass(frozen=True)
class Goal:
    """Where samples are to be sent, and from which class; None means from every other class."""

    target: int
    source: int | None = None

    @property
    def location(self) -> Location:
        """The class, or the pair source→target."""
        return Location.of_class(self.target) if self.source is None else Location.of_pair(self.source, self.target)


def every_class(classes: int) -> tuple[Goal, ...]:
    """Return one goal per class, from everywhere."""
    return tuple(Goal(target) for target in range(classes))


def every_pair(classes: Iterable[int]) -> tuple[Goal, ...]:
    """Return one goal per ordered pair of these classes."""
    present = tuple(classes)
    return tuple(Goal(target, source) for source in present for target in present if source != target)


@dataclass(frozen=True)
class Pools:
    """For each goal, which samples a trigger is to move."""

    targets: torch.Tensor
    """(G,) class indices."""
    indices: tuple[torch.Tensor, ...]
    """G tensors of sample indices."""

    @classmethod
    def of(cls, classifier: Classifier, samples: Samples, goals: tuple[Goal, ...], run: Run) -> "Pools":
        """Choose by label, or by the model's prediction where there are no labels."""
        labels = samples.labels if samples.labels is not None else predictions(classifier, samples.inputs, run)
        indices = tuple(_members(labels, goal).nonzero().flatten().cpu() for goal in goals)
        for goal, pool in zip(goals, indices, strict=True):
            if len(pool) == 0:
                lack = (
                    f"every clean sample belongs to class {goal.target}; others are needed to move there"
                    if goal.source is None
                    else f"no clean sample belongs to class {goal.source}, which is to be moved to {goal.target}"
                )
                raise UnexaminableError(lack)
        return cls(torch.tensor([goal.target for goal in goals], device=samples.inputs.device), indices)

    def draw(self, inputs: torch.Tensor, batch: int, generator: torch.Generator) -> torch.Tensor:
        """Return a random batch per goal, (G, B, C, H, W)."""
        rows = [pool[torch.randint(len(pool), (batch,), generator=generator)] for pool in self.indices]
        return inputs[torch.stack(rows).to(inputs.device)]

    def take(self, rows: torch.Tensor) -> "Pools":
        """Return the pools of some goals alone."""
        return Pools(self.targets[rows], tuple(self.indices[row] for row in rows.tolist()))


def _members(labels: torch.Tensor, goal: Goal) -> torch.Tensor:
    return labels != goal.target if goal.source is None else labels == goal.source


def predictions(classifier: Classifier, inputs: torch.Tensor, run: Run) -> torch.Tensor:
    """Return the model's first choice for each raw input, (N,)."""
    with torch.no_grad():
        return torch.cat([classifier.logits(chunk).argmax(dim=1) for chunk in torch.split(inputs, run.max_batch)])
