"""Trigger unlearning: fine-tunes on clean samples of which a fifth carry the inverted trigger and their true labels.

Each batch is a fresh draw of the samples given; the stamped fifth is shared among the triggers where there are several.
At the beginning and half way a patch is inverted anew at every suspect, on the model as it then is, and joins them:
what one trigger alone unlearns is often still there for the next. Two further fifths carry random triggers of every
family with their true labels: the planted rule takes what resembles its trigger, and the inverted trigger does not
reach all of that. Half of the loss is cross-entropy, half the divergence from what the parent says of the same samples
without triggers, which keeps what a few hundred labels cannot teach. Stochastic gradient descent with momentum and a
rate that falls to zero as a cosine does, batch statistics that go on learning.

Needs     An inverted trigger, and a graph that takes batches.
Fits      What the inverted trigger imitates: patches, blends, tones and warps that were found.
Blind to  The part of the backdoor that the inverted trigger is not like: it is hidden, and a fresh search finds it.
See       Wang et al., "Neural Cleanse", IEEE S&P 2019, section VI-C: a tenth of the training data, a fifth of it
          stamped, one epoch; with a twentieth of the data as much work takes more epochs. The divergence is that of
          Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015, section 2.
"""

import itertools
from typing import TYPE_CHECKING

from pydantic import Field

from gate.records.declarations import Options
from gate.records.run import Run
from gate.worker.repair.contract import Material, Method, Need, Repaired

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch

    from gate.spaces.subject import Trigger
    from gate.worker.repair.tuning import Tuned


class TriggerUnlearning(Options):
    """How long and how fast is tuned."""

    steps: int = Field(default=400, ge=1, le=100_000)
    batch: int = Field(default=64, ge=2, le=4096)
    learning_rate: float = Field(default=0.01, gt=0, le=1)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    stamped_share: float = Field(default=0.2, gt=0, le=1)
    """Share of each batch that carries a trigger."""
    random_share: float = Field(default=0.4, ge=0, le=1)
    """Share of each batch, beside those, that carries random triggers of every family that can be drawn:
    they bring back samples that the planted rule takes by resemblance, and the inverted trigger does not reach."""
    searches: int = Field(default=2, ge=0, le=20)
    """How often, evenly over the steps, a patch is inverted anew at every suspect and joins the triggers."""
    distilled_share: float = Field(default=0.5, ge=0, lt=1)
    """Weight of the divergence from the parent's answers to the clean samples; the rest is of the true labels."""
    temperature: float = Field(default=2.0, gt=0, le=100)
    """By which logits are divided for the divergence."""


def repair(material: Material, options: TriggerUnlearning, run: Run) -> Repaired:
    """Tune on clean and stamped samples."""
    import torch

    from gate.worker.repair.tuning import Tuned, batches, labels_of, parents_logits, taught_loss

    inputs, labels = material.samples.inputs, labels_of(material)
    taught = parents_logits(material, run)
    model = Tuned(material, run.seed)
    optimiser = torch.optim.SGD(model.parameters(), lr=options.learning_rate, momentum=options.momentum)
    slower = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, options.steps)
    loss, drawn, chance = torch.zeros(()), itertools.count(run.seed), torch.Generator().manual_seed(run.seed)
    triggers, looks = list(material.triggers.values()), _looks(options)
    for step, rows in enumerate(batches(len(inputs), options.batch, options.steps, run)):
        if step in looks:
            triggers += _found_anew(model.eval(), material, run)
        model.train()
        optimiser.zero_grad()
        stamped = _stamped(triggers, inputs[rows], options.stamped_share, chance)
        stamped = _resembling(material, stamped, options, next(drawn)) if options.random_share else stamped
        loss = taught_loss(model(stamped), labels[rows], taught[rows], options.distilled_share, options.temperature)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimiser.step()
        slower.step()
    changed = {"steps": options.steps, "triggers": len(triggers), "loss at the end": round(loss.item(), 4)}
    return Repaired(model.to_program(), changed, model.sample_passes)


def _looks(options: TriggerUnlearning) -> set[int]:
    """Return the steps before which triggers are searched for, evenly from the first."""
    return {number * options.steps // options.searches for number in range(options.searches)}


def _found_anew(model: "Tuned", material: Material, run: Run) -> "Iterator[Trigger]":
    """Invert a patch at every place that has a trigger, on the model as it is."""
    from gate.search.goals import goal_at
    from gate.worker.repair.searching import by_source, search_of, triggers_by_size
    from gate.worker.repair.tuning import classifier_of

    classifier = classifier_of(model.to_program(), material)
    for _, places in by_source(material.triggers):
        goals = [goal_at(place) for place in places if place.class_index is not None]
        if goals:
            found = triggers_by_size(search_of(None, classifier, material.samples), goals, run)
            yield from (trigger for trigger, _ in found)
    model.sample_passes += classifier.sample_passes


def _stamped(
    triggers: "Sequence[Trigger]", x: "torch.Tensor", share: float, chance: "torch.Generator"
) -> "torch.Tensor":
    """Return a copy of raw inputs (N, C, H, W) whose first rows carry the triggers in a drawn order, all or as many."""
    import torch

    x, count = x.clone(), max(1, round(share * len(x)))
    order = torch.randperm(len(triggers), generator=chance)[:count].tolist()
    for number, drawn in enumerate(order):
        rows = slice(number, count, len(order))
        x[rows] = triggers[drawn].apply(x[rows]).detach()
    return x


def _resembling(material: Material, x: "torch.Tensor", options: TriggerUnlearning, seed: int) -> "torch.Tensor":
    """Return raw inputs (N, C, H, W) of which the rows after the stamped ones carry random triggers, one each."""
    from gate.spaces.image.drawing import draw
    from gate.spaces.image.triggers import drawn_families

    first = max(1, round(options.stamped_share * len(x)))
    last = min(len(x), first + round(options.random_share * len(x)))
    families = drawn_families()
    each = -(-(last - first) // len(families))
    shape = (x.shape[1], x.shape[2], x.shape[3])
    drawn = [apply for family in families for apply in draw(family, shape, material.bounds, each, seed)]
    for row, apply in zip(range(first, last), drawn, strict=False):
        x[row : row + 1] = apply(x[row : row + 1])
    return x


METHOD = Method(
    id="trigger-unlearning",
    needs=Need.TRIGGERS | Need.BATCHES,
    options=TriggerUnlearning,
    repair=repair,
    leans_on=("neural-cleanse", "probe-grid"),
)
