"""What one step of a trigger inversion minimises, for all goals at once, and how often a trigger reaches its goal.

Below the inversion, above the goals: a family of triggers lays them on images, the classifier answers, and gradients
come back to the triggers' parameters alone.
"""

from dataclasses import dataclass
from typing import Protocol

import torch

from gate.records.run import Run
from gate.search.goals import Pools, attack_loss, reached
from gate.search.penalty import Parameters
from gate.spaces.subject import Classifier, Samples


class Family(Protocol):
    """How a kind of trigger starts, is laid on images and is measured; see `gate.spaces.image.triggers`."""

    def start(self, count: int, generator: torch.Generator) -> Parameters:
        """Return free parameters of `count` triggers, each tensor (count, ...)."""
        ...

    def apply(self, parameters: Parameters, x: torch.Tensor) -> torch.Tensor:
        """Lay each trigger on its own batch, x (count, B, C, H, W)."""
        ...

    def size(self, parameters: Parameters) -> torch.Tensor:
        """Return the size of each trigger, (count,)."""
        ...

    @property
    def largest(self) -> float:
        """The size that stands for 'no trigger found'."""
        ...


@dataclass(frozen=True)
class Objective:
    """What is minimised at one step: all goals' batches, each to its target, with its own λ."""

    inputs: torch.Tensor
    """(N, C, H, W), all samples."""
    rows: torch.Tensor
    """(G, B), which of them make each goal's batch: gathered goal by goal, as all at once may not fit."""
    labels: torch.Tensor
    """(G, B), the classes that the images are from."""
    targets: torch.Tensor
    """(G,)."""
    penalty: torch.Tensor
    """(G,)."""


def accumulate_gradients(
    classifier: Classifier, family: Family, objective: Objective, parameters: Parameters, max_batch: int
) -> torch.Tensor:
    """Set the parameters' gradients, some goals at a time so that memory stays bounded; return success (G,)."""
    count, batch = objective.rows.shape
    rows = max(1, max_batch // batch)
    success = []
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    # A goal's own batch is cut too where even that does not fit.
    width = max(1, min(batch, max_batch))
    for start in range(0, count, rows):
        part = slice(start, min(start + rows, count))
        views = tuple(parameter[part].detach().requires_grad_() for parameter in parameters)
        moved = []
        for first in range(0, batch, width):
            columns = slice(first, first + width)
            images = objective.inputs[objective.rows[part, columns]]
            logits = classifier.logits(family.apply(views, images).flatten(0, 1))
            wanted = objective.targets[part].repeat_interleave(images.shape[1])
            labels = objective.labels[part, columns].flatten()
            # The mean over a goal's own batch, summed over goals: gradients of different goals do not mix.
            loss = attack_loss(logits, wanted, labels) / batch
            if not first:
                loss = loss + (objective.penalty[part] * family.size(views)).sum()
            for parameter, gradient in zip(parameters, torch.autograd.grad(loss, views), strict=True):
                assert parameter.grad is not None
                parameter.grad[part] += gradient
            moved.append(reached(logits, wanted, labels).view(-1, images.shape[1]).float())
        success.append(torch.cat(moved, dim=1).mean(dim=1))
    return torch.cat(success)


def success_rates(
    classifier: Classifier, family: Family, samples: Samples, pools: Pools, parameters: Parameters, run: Run
) -> torch.Tensor:
    """Return for each trigger the share of its goal's samples that it sends to the target, (G,)."""
    rates = []
    with torch.no_grad():
        for row, (target, pool) in enumerate(zip(pools.targets, pools.indices, strict=True)):
            own = tuple(parameter[row : row + 1] for parameter in parameters)
            hits = 0
            for chunk in torch.split(pool.to(samples.inputs.device), run.max_batch):
                run.check_time()
                logits = classifier.logits(family.apply(own, samples.inputs[chunk].unsqueeze(0)).squeeze(0))
                hits += int(reached(logits, target.expand(len(chunk)), pools.labels[chunk]).sum())
            rates.append(hits / len(pool))
    return torch.tensor(rates, device=samples.inputs.device)
