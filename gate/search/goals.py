"""Goals of an inversion, one class a kind: which samples a trigger moves, and where to.

The optimiser knows no kind of goal by name. A goal for a class leaves out only the class's own samples. A goal for a
pair takes one source class's alone, which finds a backdoor for one source class. A goal of leaving is reached in any
other class (docs/explanation/detection.md).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch.nn import functional

from gate.records.errors import UnexaminableError
from gate.records.evidence import Location
from gate.records.run import Run
from gate.spaces.subject import Classifier, Samples


class Goal(Protocol):
    """A set of samples to move, and where to."""

    @property
    def location(self) -> Location | None:
        """The class or pair of the goal; None for a goal of no class."""
        ...

    @property
    def empty(self) -> str:
        """The error message where the goal has no sample to move."""
        ...

    def pool(self, labels: torch.Tensor) -> torch.Tensor:
        """Tell of each sample by its class (N,) whether the goal moves it, (N,) of bool."""
        ...

    def loss(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the loss to minimise, a scalar: the sum over outputs (B, K) of samples of these classes (B,)."""
        ...

    def reached(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Tell of each sample whether the model's first choice meets the goal, (B,) of bool."""
        ...


@dataclass(frozen=True)
class ClassGoal:
    """Every other class's samples should be taken for one class."""

    target: int

    @property
    def location(self) -> Location:
        """The class."""
        return Location.of_class(self.target)

    @property
    def empty(self) -> str:
        """The message where every sample is of the class."""
        return f"every clean sample belongs to class {self.target}; others are needed to move there"

    def pool(self, labels: torch.Tensor) -> torch.Tensor:
        """Tell of each sample whether it is of another class."""
        return labels != self.target

    def loss(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the cross-entropy to the class."""
        return functional.cross_entropy(outputs, torch.full_like(labels, self.target), reduction="sum")

    def reached(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Tell whether the class is the first choice."""
        del labels
        return outputs.argmax(dim=1) == self.target


@dataclass(frozen=True)
class PairGoal(ClassGoal):
    """One class's samples should be taken for another class."""

    source: int

    @property
    def location(self) -> Location:
        """The pair source→target."""
        return Location.of_pair(self.source, self.target)

    @property
    def empty(self) -> str:
        """The message where no sample is of the source."""
        return f"no clean sample belongs to class {self.source}, which is to be moved to {self.target}"

    def pool(self, labels: torch.Tensor) -> torch.Tensor:
        """Tell of each sample whether it is of the source."""
        return labels == self.source


@dataclass(frozen=True)
class LeaveGoal:
    """Samples of one class, or without one of all, should be taken for any class but their own."""

    source: int | None = None

    @property
    def location(self) -> Location | None:
        """The class that is left."""
        return None if self.source is None else Location.of_class(self.source)

    @property
    def empty(self) -> str:
        """The message where no sample is of the class."""
        return "there is no clean sample" if self.source is None else f"no clean sample belongs to class {self.source}"

    def pool(self, labels: torch.Tensor) -> torch.Tensor:
        """Tell of each sample whether it is of the class, or all."""
        return torch.ones_like(labels, dtype=torch.bool) if self.source is None else labels == self.source

    def loss(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the cross-entropy to the set of all classes but a sample's own."""
        others = outputs.scatter(1, labels.unsqueeze(1), -torch.inf)
        return (outputs.logsumexp(dim=1) - others.logsumexp(dim=1)).sum()

    def reached(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Tell whether another class is the first choice."""
        return outputs.argmax(dim=1) != labels


def goal_to(target: int, source: int | None = None) -> ClassGoal:
    """Return the goal of reaching a class from one source class, or without one from every other."""
    return ClassGoal(target) if source is None else PairGoal(target, source)


def goal_at(place: Location) -> ClassGoal:
    """Return the goal at a class or at a pair."""
    assert place.class_index is not None
    return goal_to(place.class_index, place.source_index)


def every_class(classes: int) -> tuple[ClassGoal, ...]:
    """Return one goal per class, from everywhere."""
    return tuple(ClassGoal(target) for target in range(classes))


def every_pair(classes: Iterable[int]) -> tuple[PairGoal, ...]:
    """Return one goal per ordered pair of these classes."""
    present = tuple(classes)
    return tuple(PairGoal(target, source) for source in present for target in present if source != target)


@dataclass(frozen=True)
class Pools:
    """Goals, and the samples that each goal's trigger should move."""

    goals: tuple[Goal, ...]
    indices: tuple[torch.Tensor, ...]
    """G tensors of sample indices."""
    labels: torch.Tensor
    """(N,), of all samples."""

    @classmethod
    def of(cls, classifier: Classifier, samples: Samples, goals: tuple[Goal, ...], run: Run) -> "Pools":
        """Choose by label, or by the model's prediction where there are no labels."""
        labels = samples.labels if samples.labels is not None else predictions(classifier, samples.inputs, run)
        indices = tuple(goal.pool(labels).nonzero().flatten().cpu() for goal in goals)
        for goal, pool in zip(goals, indices, strict=True):
            if len(pool) == 0:
                raise UnexaminableError(goal.empty)
        return cls(goals, indices, labels.to(samples.inputs.device))

    def draw(self, batch: int, generator: torch.Generator) -> torch.Tensor:
        """Return the indices of a random batch per goal, (G, B)."""
        rows = [pool[torch.randint(len(pool), (batch,), generator=generator)] for pool in self.indices]
        return torch.stack(rows).to(self.labels.device)

    def take(self, rows: torch.Tensor) -> "Pools":
        """Return the pools of some goals alone."""
        kept = rows.tolist()
        goals, indices = tuple(self.goals[row] for row in kept), tuple(self.indices[row] for row in kept)
        return replace(self, goals=goals, indices=indices)


def predictions(classifier: Classifier, inputs: torch.Tensor, run: Run) -> torch.Tensor:
    """Return the model's first choice for each raw input, (N,)."""
    with torch.no_grad():
        return torch.cat([classifier.logits(chunk).argmax(dim=1) for chunk in torch.split(inputs, run.max_batch)])


def varied_predictions(classifier: Classifier, inputs: torch.Tensor, run: Run) -> torch.Tensor:
    """Return `predictions`; raise `UnexaminableError` where all of them are one class."""
    own = predictions(classifier, inputs, run)
    if bool((own == own[0]).all()):
        raise UnexaminableError("the model gives all samples one class; no trigger has to move them there")
    return own
