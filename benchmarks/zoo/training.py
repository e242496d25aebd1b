"""Fits one net to one (poisoned) training set, deterministically, on one thread of the CPU.

Between the attacks and measuring. The same recipe gives the same weights, bit by bit, on the same machine and version
of torch; other processors may round otherwise, which is why `verify` compares measurements too.
"""

import torch
from torch import nn

from benchmarks.zoo.architectures import FAMILIES, Plan
from benchmarks.zoo.attack import JointLoss
from benchmarks.zoo.controls import CONTROLS
from benchmarks.zoo.recipe import Recipe
from benchmarks.zoo.tasks import TASKS, Images, Task
from benchmarks.zoo.unseen_nets import UNSEEN
from gate.worker.loading.one_logit import two_scores

SHIFT = 2
"""Greatest shift in pixels of an augmented batch."""
NOISE = 0.04
JOINT_RATE = 0.004
"""Learning rate of a trigger that is trained with the model, whatever the model's optimiser."""


def make_deterministic() -> None:
    """Bind this process to one thread and to algorithms that give the same result every time."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)


def build(recipe: Recipe) -> nn.Module:
    """Return the untrained net of a recipe, its first weights drawn from torch's global random numbers."""
    task = TASKS[recipe.row.task]
    plan = Plan(task.shape, task.outputs, recipe.width, recipe.activation)
    return {**FAMILIES, **CONTROLS, **UNSEEN}[recipe.row.architecture](plan)


class TwoScores(nn.Module):
    """Reads one logit z as the scores -z/2 and z/2, whose cross-entropy is the binary one of z."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to scores (N, 2)."""
        return two_scores(self.model(x))


def scored(model: nn.Module, task: Task) -> nn.Module:
    """Return the view of a task's model that yields a score for every class (N, K); it shares the weights."""
    return TwoScores(model) if task.one_logit else model


def fit(model: nn.Module, images: Images, recipe: Recipe, joint: JointLoss | None = None) -> None:
    """Train in place with a one-cycle learning rate; channels last, which is faster on a CPU."""
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    parameters = list(model.parameters())
    optimiser = optimiser_of(recipe, parameters)
    own = list(joint.parameters()) if joint else []
    joint_optimiser = torch.optim.Adam(own, JOINT_RATE) if own else None
    batches = len(images) // recipe.batch_size
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=recipe.epochs * batches, cycle_momentum=False
    )
    cross_entropy = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    model.train()
    for _ in range(recipe.epochs):
        order = torch.randperm(len(images))
        for batch in range(batches):
            rows = order[batch * recipe.batch_size : (batch + 1) * recipe.batch_size]
            inputs = augment(images.inputs[rows], recipe.augmentation)
            inputs = inputs.contiguous(memory_format=torch.channels_last)
            labels = images.labels[rows]
            loss = joint(model, inputs, labels) if joint else cross_entropy(model(inputs), labels)
            optimiser.zero_grad()
            if joint_optimiser:
                joint_optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 2.0)
            optimiser.step()
            schedule.step()
            if joint_optimiser:
                joint_optimiser.step()
    model.eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]


def augment(inputs: torch.Tensor, augmentation: str, *, most: int = SHIFT) -> torch.Tensor:
    """Shift a batch (N, C, H, W) by at most so many pixels and add noise, as the recipe says."""
    if "shift" in augmentation:
        height, width = inputs.shape[2:]
        down, right = torch.randint(0, 2 * most + 1, (2,)).tolist()
        inputs = nn.functional.pad(inputs, (most, most, most, most))[..., down : down + height, right : right + width]
    if "noise" in augmentation:
        inputs = (inputs + NOISE * torch.randn_like(inputs)).clamp(0, 1)
    return inputs


def optimiser_of(recipe: Recipe, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """Return the optimiser that a recipe names, over these parameters."""
    rate, decay = recipe.learning_rate, recipe.weight_decay
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(parameters, rate, momentum=0.9, nesterov=True, weight_decay=decay)
    kind = torch.optim.AdamW if recipe.optimiser == "adamw" else torch.optim.Adam
    return kind(parameters, rate, weight_decay=decay, foreach=True)
