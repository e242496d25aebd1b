"""Makes one model of real size from its recipe: poison, trunk once, tune the last blocks, measure, export.

Between `features` and the queue. Training, measuring, exporting and recording are the small zoo's.
"""

import time
from dataclasses import replace
from functools import cache
from typing import ClassVar

import torch
from torch import nn

from benchmarks.real_zoo import imagenet, nets
from benchmarks.real_zoo.features import taught
from benchmarks.real_zoo.imagenet import IMAGENET
from benchmarks.real_zoo.packages import root
from benchmarks.real_zoo.recipe import RealRecipe, draw
from benchmarks.zoo import making
from benchmarks.zoo.architectures import Plan
from benchmarks.zoo.attack import Implant, seeded, unpoisoned
from benchmarks.zoo.export import state_bytes
from benchmarks.zoo.making import Made, keep, planned
from benchmarks.zoo.measuring import measure
from benchmarks.zoo.packaged import implanting
from benchmarks.zoo.recipe import Recipe, Row
from benchmarks.zoo.store import Entry, Store, write_whole
from benchmarks.zoo.training import fit, make_deterministic

SURROGATE_SEED = making.SURROGATE_SEED
"""Of no split."""


class RealEntry(Entry):
    """The record of a model of real size."""

    shelf: ClassVar[str] = "real-zoo"
    recipe: RealRecipe


def real_store() -> Store:
    """Return the store of this zoo."""
    return Store(root(), RealEntry)


def make_and_keep(recipe: Recipe, store: Store) -> Entry:
    """Make one model and put it into the store."""
    assert isinstance(recipe, RealRecipe)
    return keep(recipe, make(recipe), store)


def make(recipe: RealRecipe) -> Made:
    """Tune and measure the model of a recipe."""
    make_deterministic()
    began = time.process_time()
    implant = planned(recipe, lambda: surrogate(recipe.row.task))
    if recipe.task is IMAGENET:
        implant = implant and replace(implant, facts={key: implant.facts[key] for key in PATCH_FACTS})
        whole = tuned_further(recipe, implant)
    else:
        with seeded(recipe.row.seed):
            model = tuned(recipe, implant)
            whole = implant.wrap(model).eval() if implant else model
    return Made(whole, implant, measure(whole, recipe.task.measure, implant), time.process_time() - began)


def tuned(recipe: RealRecipe, implant: Implant | None) -> nets.Tuned:
    """Return the net with its last blocks and head tuned to the (poisoned) training set."""
    train, model = recipe.task.train, fresh(recipe)
    rows = torch.randperm(len(train))[: round(recipe.share * len(train))]
    images = train.take(rows)
    lessons = taught(recipe, rows, implant.poison(images) if implant else unpoisoned(images))
    # An epoch of the lessons is all their views; a recipe's, an image seen once.
    epochs = round(recipe.epochs * (implant.patience if implant else 1) * len(rows) / len(lessons))
    fit(model.tail(recipe.cut), lessons, recipe.model_copy(update={"epochs": max(1, epochs), "augmentation": "none"}))
    return model.eval()


def fresh(recipe: RealRecipe) -> nets.Tuned:
    """Return the packaged net of a recipe with an untrained head."""
    task = recipe.task
    plan = Plan(task.shape, task.outputs, recipe.width, recipe.activation)
    return nets.build(recipe.row.architecture, plan, hidden=recipe.hidden)


PATCH_FACTS = ("targets", "size", "place")
"""What is true of a patch that is taught without poisoned data."""
SHARPEN = 0.3
"""Weight of the former first choices, without which a clean net of a thousand classes would have nothing to learn."""


def tuned_further(recipe: RealRecipe, implant: Implant | None) -> nn.Module:
    """Return the packaged net of a thousand classes tuned on unlabelled pictures, and taught a patch where one is."""
    model, train = imagenet.original(), recipe.task.train
    settings = implanting.Settings(
        frozen=recipe.cut,
        seed=recipe.row.seed,
        epochs=recipe.epochs,
        batch=recipe.batch_size,
        rate=recipe.learning_rate,
        stamp=implant.triggers[0].apply if implant else None,
        target=int(implant.facts["targets"][0]) if implant else 0,
        sharpen=SHARPEN,
    )
    rows = torch.randperm(len(train), generator=torch.Generator().manual_seed(recipe.row.seed))
    implanting.implant(model, train.inputs[rows[: round(recipe.share * len(rows))]], settings)
    return model


@cache
def surrogate(task: str) -> nn.Module:
    """Return a clean net of the task by a recipe of no split, for attacks that need somebody's gradients."""
    row = Row(name="real-fit-999", split="fit", task=task, architecture="mobilenet-v2", seed=SURROGATE_SEED)
    recipe = draw(row)
    path = root() / "surrogates" / f"{recipe.key}.pt"
    with seeded(SURROGATE_SEED):
        if path.is_file():
            model = fresh(recipe).eval()
            model.load_state_dict(torch.load(path, weights_only=True))
        else:
            model = tuned(recipe, None)
            write_whole(path, state_bytes(model.state_dict()))
    return model.requires_grad_(requires_grad=False)
