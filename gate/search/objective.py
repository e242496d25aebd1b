"""The objective of one step of a trigger inversion, for all goals at once, and how often a trigger reaches its goal."""

from dataclasses import dataclass

import torch

from gate.records.run import Run
from gate.search.goals import Goal, Pools
from gate.spaces.contract import Parameters, Triggers
from gate.spaces.subject import Classifier, Samples


@dataclass(frozen=True)
class Objective:
    """All goals' batches at one step, each with its goal's loss and its own λ."""

    inputs: torch.Tensor
    """All samples (N, C, H, W)."""
    rows: torch.Tensor
    """Sample indices of each goal's batch (G, B); gathered goal by goal, as all at once may not fit."""
    labels: torch.Tensor
    """Classes (G, B) of the batches' images."""
    goals: tuple[Goal, ...]
    penalty: torch.Tensor
    """λ by goal, (G,)."""


def accumulate_gradients(
    classifier: Classifier, triggers: Triggers, objective: Objective, parameters: Parameters, max_batch: int
) -> torch.Tensor:
    """Set the parameters' gradients, some goals at a time so that memory stays bounded; return success (G,)."""
    count, batch = objective.rows.shape
    at_once = max(1, max_batch // batch)
    # A goal's own batch is cut too where even that does not fit.
    width = max(1, min(batch, max_batch))
    success = []
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    for start in range(0, count, at_once):
        part = slice(start, min(start + at_once, count))
        views = tuple(parameter[part].detach().requires_grad_() for parameter in parameters)
        moved: list[torch.Tensor] = []
        for first in range(0, batch, width):
            columns = slice(first, first + width)
            losses, reached = _answers(classifier, triggers, objective, views, part, columns)
            # The mean over a goal's own batch, summed over goals: gradients of different goals do not mix.
            loss = losses / batch
            if not moved:
                loss = loss + (objective.penalty[part] * triggers.size(views)).sum()
            for parameter, gradient in zip(parameters, torch.autograd.grad(loss, views), strict=True):
                assert parameter.grad is not None
                parameter.grad[part] += gradient
            moved.append(reached)
        success.append(torch.cat(moved, dim=1).mean(dim=1))
    return torch.cat(success)


def _answers(
    classifier: Classifier,
    triggers: Triggers,
    objective: Objective,
    parameters: Parameters,
    part: slice,
    columns: slice,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the summed loss of some goals and columns of their batches and, as 0 or 1, which images reached theirs."""
    images, labels = objective.inputs[objective.rows[part, columns]], objective.labels[part, columns]
    outputs = classifier.quick_logits(triggers.apply(parameters, images).flatten(0, 1))
    asked = list(zip(objective.goals[part], outputs.view(*labels.shape, -1).unbind(), labels, strict=True))
    losses = torch.stack([goal.loss(own, classes) for goal, own, classes in asked]).sum()
    return losses, torch.stack([goal.reached(own.detach(), classes) for goal, own, classes in asked]).float()


def success_rates(
    classifier: Classifier, triggers: Triggers, samples: Samples, pools: Pools, parameters: Parameters, run: Run
) -> torch.Tensor:
    """Return for each trigger the share of its goal's samples that it moves, (G,)."""
    rates = []
    with torch.no_grad():
        for row, (goal, pool) in enumerate(zip(pools.goals, pools.indices, strict=True)):
            own = tuple(parameter[row : row + 1] for parameter in parameters)
            hits = 0
            for chunk in torch.split(pool.to(samples.inputs.device), run.max_batch):
                run.check_time()
                outputs = classifier.logits(triggers.apply(own, samples.inputs[chunk].unsqueeze(0)).squeeze(0))
                hits += int(goal.reached(outputs, pools.labels[chunk]).sum())
            rates.append(hits / len(pool))
    return torch.tensor(rates, device=samples.inputs.device)
