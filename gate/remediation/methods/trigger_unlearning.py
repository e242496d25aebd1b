"""Trigger unlearning: fine-tunes on clean samples of which a fifth carry the inverted trigger and their true labels.

Each batch is a fresh draw of the samples given; the stamped fifth is shared among the triggers where there are several.
A further fifth carries random triggers of every family with its true labels: the planted rule takes what resembles its
trigger, and the inverted trigger does not reach all of that. Plain cross-entropy, stochastic gradient descent with
momentum and a rate that falls to nought as a cosine does, batch statistics that go on learning.

Needs     An inverted trigger, and a graph that takes batches.
Fits      Whatever the inverted trigger imitates: patches, blends, tones and warps that were found.
Blind to  The part of the backdoor that the inverted trigger is not like: it is hidden, and a fresh search finds it.
See       Wang et al., "Neural Cleanse", IEEE S&P 2019, section VI-C: a tenth of the training data, a fifth of it
          stamped, one epoch; with a twentieth of the data as much work takes more epochs.
"""

import itertools
from typing import TYPE_CHECKING

from pydantic import Field

from gate.detector import Options, Run
from gate.remediation.method import Material, Method, Need, Repaired

if TYPE_CHECKING:
    import torch


class TriggerUnlearning(Options):
    """How long and how fast is tuned."""

    steps: int = Field(default=150, ge=1, le=100_000)
    batch: int = Field(default=64, ge=2, le=4096)
    learning_rate: float = Field(default=0.01, gt=0, le=1)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    stamped_share: float = Field(default=0.2, gt=0, le=1)
    """Share of each batch that carries a trigger."""
    random_share: float = Field(default=0.2, ge=0, le=1)
    """Share of each batch, beside those, that carries random triggers of every family, as `random-triggers` draws them:
    they bring back samples that the planted rule takes by resemblance, and the inverted trigger does not reach."""


def repair(material: Material, options: TriggerUnlearning, run: Run) -> Repaired:
    """Tune on clean and stamped samples."""
    import torch

    from gate.remediation.tuning import Tuned, batches, labels_of

    inputs, labels = material.samples.inputs, labels_of(material)
    model = Tuned(material, run.seed)
    optimiser = torch.optim.SGD(model.parameters(), lr=options.learning_rate, momentum=options.momentum)
    slower = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, options.steps)
    loss, drawn = torch.zeros(()), itertools.count(run.seed)
    model.train()
    for rows in batches(len(inputs), options.batch, options.steps, run):
        optimiser.zero_grad()
        stamped = _stamped(material, inputs[rows], options.stamped_share)
        stamped = _resembling(material, stamped, options, next(drawn)) if options.random_share else stamped
        loss = model.loss(stamped, labels[rows])
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimiser.step()
        slower.step()
    changed = {"steps": options.steps, "loss at the end": round(loss.item(), 4)}
    return Repaired(model.to_program(), changed, model.sample_passes)


def _stamped(material: Material, x: "torch.Tensor", share: float) -> "torch.Tensor":
    """Return a copy of raw inputs (N, C, H, W) whose first rows carry the triggers in turn."""
    x, count = x.clone(), max(1, round(share * len(x)))
    triggers = tuple(material.triggers.values())
    for number, trigger in enumerate(triggers[:count]):
        rows = slice(number, count, len(triggers))
        x[rows] = trigger.apply(x[rows]).detach()
    return x


def _resembling(material: Material, x: "torch.Tensor", options: TriggerUnlearning, seed: int) -> "torch.Tensor":
    """Return raw inputs (N, C, H, W) of which the rows after the stamped ones carry random triggers, one each."""
    from gate.triggers.drawn import FAMILIES, draw, within

    first = max(1, round(options.stamped_share * len(x)))
    last = min(len(x), first + round(options.random_share * len(x)))
    families = tuple(FAMILIES)
    each = -(-(last - first) // len(families))
    shape = (x.shape[1], x.shape[2], x.shape[3])
    lays = [lay for family in families for lay in draw(family, shape, each, seed)]
    for row, lay in zip(range(first, last), lays, strict=False):
        x[row : row + 1] = within(lay, material.bounds)(x[row : row + 1])
    return x


METHOD = Method(
    id="trigger-unlearning",
    title="Unlearning of the inverted trigger",
    needs=Need.TRIGGERS | Need.BATCHES,
    cost=3,
    options=TriggerUnlearning,
    repair=repair,
)
