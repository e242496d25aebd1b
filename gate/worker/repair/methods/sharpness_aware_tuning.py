"""Sharpness-aware tuning: fine-tunes on clean samples from the worst point of a neighbourhood scaled by each weight.

A step goes up by ε = ρ · |w|² · g / ‖ |w| · g ‖, takes the gradient there, and descends by it from where it began:
large weights, which a backdoor's neurons tend to have, are moved most. The second pass leaves running statistics alone.

Needs     A graph that takes batches; no trigger.
Fits      Backdoors of any kind that clean fine-tuning weakens, warps and input-dependent ones included.
Blind to  Backdoors in a flat valley of the clean loss; with few samples accuracy pays for what is unlearnt.
See       Zhu, Wei, Shen, Fan and Wu, "Enhancing Fine-Tuning Based Backdoor Defense with Sharpness-Aware
          Minimization", ICCV 2023, section 3.3; ρ = 2 and a rate of 0.01 as there. The scaling is of Kwon et al.,
          "ASAM", ICML 2021.
"""

from typing import TYPE_CHECKING

from pydantic import Field

from gate.records.declarations import Options
from gate.records.run import Run
from gate.worker.repair.contract import Material, Method, Need, Repaired

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch


class SharpnessAwareTuning(Options):
    """How long, how fast and how far up is tuned."""

    steps: int = Field(default=150, ge=1, le=100_000)
    batch: int = Field(default=64, ge=2, le=4096)
    learning_rate: float = Field(default=0.01, gt=0, le=1)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    radius: float = Field(default=2.0, gt=0, le=100)
    """The paper's ρ."""


def repair(material: Material, options: SharpnessAwareTuning, run: Run) -> Repaired:
    """Tune on clean samples by gradients from the worst point nearby."""
    import torch

    from gate.worker.repair.tuning import Tuned, batches, labels_of

    inputs, labels = material.samples.inputs, labels_of(material)
    model = Tuned(material, run.seed)
    parameters = list(model.parameters())
    optimiser = torch.optim.SGD(parameters, lr=options.learning_rate, momentum=options.momentum)
    loss = torch.zeros(())
    model.train()
    for rows in batches(len(inputs), options.batch, options.steps, run):
        x, y = inputs[rows], labels[rows]
        loss = model.loss(x, y)
        ascent = _ascent(parameters, torch.autograd.grad(loss, parameters, allow_unused=True), options.radius)
        kept = [buffer.clone() for buffer in model.buffers()]
        _move(parameters, ascent, 1)
        optimiser.zero_grad()
        model.loss(x, y).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        _move(parameters, ascent, -1)
        for buffer, value in zip(model.buffers(), kept, strict=True):
            buffer.copy_(value)
        optimiser.step()
    changed = {"steps": options.steps, "loss at the end": round(loss.item(), 4)}
    return Repaired(model.to_program(), changed, model.sample_passes)


def _ascent(
    parameters: "Sequence[torch.Tensor]", gradients: "Sequence[torch.Tensor | None]", radius: float
) -> "list[torch.Tensor | None]":
    """Return for each parameter the way up, (…), or None where the loss does not depend on it."""
    import torch

    pairs = list(zip((parameter.detach() for parameter in parameters), gradients, strict=True))
    squares = [(value.abs() * gradient).square().sum() for value, gradient in pairs if gradient is not None]
    scale = radius / (torch.stack(squares).sum().sqrt() + 1e-12)
    return [None if gradient is None else scale * value.square() * gradient for value, gradient in pairs]


def _move(parameters: "Sequence[torch.Tensor]", by: "Sequence[torch.Tensor | None]", sign: int) -> None:
    import torch

    with torch.no_grad():
        for parameter, step in zip(parameters, by, strict=True):
            if step is not None:
                parameter.add_(step, alpha=sign)


METHOD = Method(
    id="sharpness-aware-tuning",
    needs=Need.BATCHES,
    options=SharpnessAwareTuning,
    repair=repair,
)
