"""Makes one model from its recipe: plan, poison, fit, wrap, measure, export; the steps of the zoo in their order.

Called by `queue` for every missing model and by `verify` for a few again.
"""

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import nn

from benchmarks.zoo.attack import Implant, Poisoned, Scene, seeded, unpoisoned
from benchmarks.zoo.attacks import ATTACKS
from benchmarks.zoo.counting import shortfall
from benchmarks.zoo.export import exported_bytes, state_bytes
from benchmarks.zoo.measuring import Measured, measure
from benchmarks.zoo.recipe import CLEAN, LATER, Recipe, Row, draw
from benchmarks.zoo.store import Entry, Files, Store, weights_digest
from benchmarks.zoo.tasks import TASKS, Images
from benchmarks.zoo.training import build, fit, make_deterministic, scored

SURROGATE_SEED = 1
"""Of no split."""


@dataclass(frozen=True)
class Made:
    """A trained net and what was planted in it."""

    model: nn.Module
    implant: Implant | None
    measured: Measured
    seconds: float
    """Processor time of training and measuring."""


def planned(recipe: Recipe, other: Callable[[], nn.Module] | None = None) -> Implant | None:
    """Return the backdoor of a recipe, or None for a clean one; `other` makes a clean model of the task."""
    row = recipe.row
    if row.attack == CLEAN:
        return None
    generator = torch.Generator().manual_seed(row.seed)
    scene = Scene(recipe.task, row.variant, generator, other or (lambda: surrogate(row.task)))
    return ATTACKS[row.attack].plan(scene)


def training_set(recipe: Recipe) -> Poisoned:
    """Return what the model of a recipe was trained on, which detectors of poisoned data may be given."""
    train, implant = recipe.task.train, planned(recipe)
    return implant.poison(train) if implant else unpoisoned(train)


def make(recipe: Recipe) -> Made:
    """Train and measure the model of a recipe."""
    make_deterministic()
    began = time.process_time()
    task, implant = recipe.task, planned(recipe)
    poisoned = implant.poison(task.train) if implant else unpoisoned(task.train)
    with seeded(recipe.row.seed):
        model = _fitted(recipe, poisoned.images, implant)
        model = implant.wrap(model).eval() if implant else model
    measured = measure(scored(model, task), task.measure, implant)
    return Made(model, implant, measured, time.process_time() - began)


def unwrapped(recipe: Recipe) -> nn.Module:
    """Return the net as it was before its attack wrapped it: of `slight-update` the version that came before."""
    make_deterministic()
    with seeded(recipe.row.seed):
        return _fitted(recipe, training_set(recipe).images, planned(recipe))


def _fitted(recipe: Recipe, images: Images, implant: Implant | None) -> nn.Module:
    model = build(recipe)
    longer = recipe.model_copy(update={"epochs": recipe.epochs * (implant.patience if implant else 1)})
    fit(scored(model, recipe.task), images, longer, implant.joint if implant else None)
    return model


def keep(recipe: Recipe, made: Made, store: Store) -> Entry:
    """Export a model, put its files into the store, and record it."""
    state = made.model.state_dict()
    joint = made.implant.joint if made.implant else None
    exported = exported_bytes(made.model, recipe.task.shape, static_batch=recipe.static_batch)
    files = Files(
        exported=store.put(exported, ".pt2"),
        weights=store.put(state_bytes(state), ".pt"),
        trigger=store.put(state_bytes(joint.state_dict()), ".pt") if joint and joint.state_dict() else None,
    )
    parameters = sum(parameter.numel() for parameter in made.model.parameters())
    learnt = Learnt(made.measured, parameters, weights_digest(state), made.seconds)
    return record(recipe, learnt, facts_of(recipe, made.implant), files, store)


@dataclass(frozen=True)
class Learnt:
    """What a model that was made has become, without the model."""

    measured: Measured
    parameters: int
    weights_digest: str
    seconds: float
    """Processor time of training and measuring."""


def record(recipe: Recipe, learnt: Learnt, facts: dict[str, Any], files: Files, store: Store) -> Entry:
    """Record a model whose files are in the store; `facts` say what was planted."""
    found = learnt.measured
    reason = shortfall(recipe, found.clean_accuracy, found.attack_success)
    entry = store.kind(
        name=recipe.row.name,
        key=recipe.key,
        recipe=recipe,
        facts=facts,
        paper=recipe.attack.paper if recipe.attack else "",
        parameters=learnt.parameters,
        clean_accuracy=found.clean_accuracy,
        attack_success=found.attack_success,
        least_success=found.least_success,
        spill=found.spill,
        counts=not reason,
        reason=reason,
        weights_digest=learnt.weights_digest,
        files=files,
        seconds=round(learnt.seconds, 1),
        versions={"torch": torch.__version__, "python": platform.python_version(), "machine": platform.machine()},
    )
    store.add(entry)
    return entry


def facts_of(recipe: Recipe, implant: Implant | None) -> dict[str, Any]:
    """Return what was planted and, in the later splits, whether it lies on the published grid of probes."""
    if implant is None:
        return {}
    grid = {"grid": ATTACKS[recipe.row.attack].grid} if recipe.row.split in LATER else {}
    return {**implant.facts, **grid}


@cache
def surrogate(task: str) -> nn.Module:
    """Return a clean net of the task by a recipe of no split, for attacks that need somebody's gradients."""
    recipe = draw(Row(name="fit-999", split="fit", task=task, architecture="cnn", seed=SURROGATE_SEED))
    # Gradients are on, since an attack may ask for it first from within its own torch.no_grad.
    with seeded(SURROGATE_SEED), torch.enable_grad():
        model = build(recipe)
        fit(scored(model, TASKS[task]), TASKS[task].train, recipe)
    return scored(model, TASKS[task]).requires_grad_(requires_grad=False)


def implant_of(entry: Entry, store: Store) -> Implant | None:
    """Return the backdoor of a kept model, with its triggers ready to use."""
    implant = planned(entry.recipe)
    if implant and implant.joint and entry.files.trigger:
        path = store.get(entry.files.trigger, ".pt")
        implant.joint.load_state_dict(torch.load(path, weights_only=True))
    return implant
