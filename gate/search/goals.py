"""What an inversion aims at: a target class from everywhere, or from one source class; and which samples serve it.

Between the samples and the optimiser. A goal without a source leaves out only the target's own samples; a goal with
one takes that class's samples alone, which is how a backdoor for one source class is found
(docs/explanation/detection.md).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch.nn import functional

from gate.records.errors import UnexaminableError
from gate.records.evidence import Location
from gate.records.run import Run
from gate.spaces.subject import Classifier, Samples

ANYWHERE = -1
"""The target of a goal that is reached wherever a sample goes, as long as it leaves its own class."""


@dataclass(frozen=True)
class Goal:
    """Where samples are to be sent, and from which class; None means from every other class."""

    target: int
    """A class, or `ANYWHERE`."""
    source: int | None = None

    @property
    def location(self) -> Location:
        """The class, or the pair source→target."""
        return Location.of_class(self.target) if self.source is None else Location.of_pair(self.source, self.target)


def every_class(classes: int) -> tuple[Goal, ...]:
    """Return one goal per class, from everywhere."""
    return tuple(Goal(target) for target in range(classes))


def away(starts: int) -> tuple[Goal, ...]:
    """Return the goal of leaving one's own class, from so many starts."""
    return (Goal(ANYWHERE),) * starts


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
    labels: torch.Tensor
    """(N,), of all samples."""

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
        device = samples.inputs.device
        return cls(torch.tensor([goal.target for goal in goals], device=device), indices, labels.to(device))

    def draw(self, batch: int, generator: torch.Generator) -> torch.Tensor:
        """Return the indices of a random batch per goal, (G, B)."""
        rows = [pool[torch.randint(len(pool), (batch,), generator=generator)] for pool in self.indices]
        return torch.stack(rows).to(self.targets.device)

    def take(self, rows: torch.Tensor) -> "Pools":
        """Return the pools of some goals alone."""
        return Pools(self.targets[rows], tuple(self.indices[row] for row in rows.tolist()), self.labels)


def attack_loss(logits: torch.Tensor, targets: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the summed cross-entropy to each row's target, or to the set of all classes but its own, a scalar.

    Logits (N, K), targets (N,) and labels (N,); of N rows all aim `ANYWHERE` or none does.
    """
    if not bool((targets == ANYWHERE).any()):
        return functional.cross_entropy(logits, targets, reduction="sum")
    others = logits.scatter(1, labels.unsqueeze(1), -torch.inf)
    return (logits.logsumexp(dim=1) - others.logsumexp(dim=1)).sum()


def reached(logits: torch.Tensor, targets: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Tell of each row whether the model's first choice is where it was sent, (N,) of bool."""
    first = logits.detach().argmax(dim=1)
    return torch.where(targets == ANYWHERE, first != labels, first == targets)


def _members(labels: torch.Tensor, goal: Goal) -> torch.Tensor:
    return labels != goal.target if goal.source is None else labels == goal.source  # none is `ANYWHERE`: all take part


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
