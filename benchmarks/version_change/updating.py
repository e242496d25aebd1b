"""Updates of a clean model: five clean versions one after the other, then candidates that go on from the last.

All is drawn from the zoo model's own seed, and kept in a cache: a run that was broken off goes on where it was.
"""

import random
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from benchmarks.zoo.attack import Implant, Scene, seeded
from benchmarks.zoo.attacks import ATTACKS
from benchmarks.zoo.export import exported_bytes
from benchmarks.zoo.making import surrogate
from benchmarks.zoo.measuring import measure
from benchmarks.zoo.recipe import Recipe
from benchmarks.zoo.store import Entry, Store, write_whole
from benchmarks.zoo.tasks import TASKS
from benchmarks.zoo.training import build, fit, make_deterministic
from gate.records.record import Record

EARLIER = 5
"""Clean updates after the zoo's own model; the last of them serves."""
CLEAN = ("clean-1", "clean-2", "clean-3", "longer")
POISONED = {"badnets": "small", "blended": "noise", "sig": "sinusoid"}
"""Variants by attack."""
LONG, POISONED_EPOCHS = 9, 3


class Update(Record):
    """One update: how it was trained on from its predecessor, and what came out."""

    base: str
    name: str
    seed: int
    epochs: int
    rate_factor: float
    """Learning rate over that of the first training."""
    share: float
    """Share of the training set that it saw."""
    clean_accuracy: float = 0.0
    attack_success: float | None = None
    targets: tuple[int, ...] = ()


@dataclass(frozen=True)
class Kept:
    """The cache of one zoo model's updates."""

    folder: Path

    def path(self, name: str, suffix: str) -> Path:
        """Return the path of an update's file: `.json`, `.pt` or `.pt2`."""
        return self.folder / f"{name}{suffix}"

    def update(self, name: str) -> Update | None:
        """Return a kept update."""
        path = self.path(name, ".json")
        return Update.from_file(path) if path.is_file() else None


def names() -> tuple[str, ...]:
    """Return the names of one model's updates, in the order in which they are made."""
    return (*(f"v{number}" for number in range(1, EARLIER + 1)), *CLEAN, *POISONED)


def drawn(entry: Entry, name: str) -> Update:
    """Draw the settings of an update: a short training on most of the data, at a part of the first learning rate."""
    seed = entry.recipe.row.seed * 100 + names().index(name)
    rng = random.Random(f"version-change-{seed}")
    epochs = {"longer": LONG, **dict.fromkeys(POISONED, POISONED_EPOCHS)}.get(name, rng.randint(1, 3))
    factor, share = rng.uniform(0.1, 0.4), rng.uniform(0.7, 1.0)
    return Update(
        base=entry.name, name=name, seed=seed, epochs=epochs, rate_factor=round(factor, 3), share=round(share, 3)
    )


def make(entry: Entry, store: Store, kept: Kept) -> None:
    """Make all updates of one zoo model that are not there yet."""
    make_deterministic()
    if not kept.path("v0", ".pt2").is_file():
        model = build(entry.recipe)
        model.load_state_dict(torch.load(store.get(entry.files.weights, ".pt"), weights_only=True))
        raw = exported_bytes(model, TASKS[entry.recipe.row.task].shape, static_batch=False)
        write_whole(kept.path("v0", ".pt2"), raw)
    for name in names():
        if kept.update(name) is None:
            before = f"v{int(name[1:]) - 1}" if name[0] == "v" else f"v{EARLIER}"
            path = kept.path(before, ".pt") if before != "v0" else store.get(entry.files.weights, ".pt")
            _make(entry, drawn(entry, name), path, kept)


def _make(entry: Entry, update: Update, before: Path, kept: Kept) -> None:
    recipe, task = entry.recipe, TASKS[entry.recipe.row.task]
    implant = _implant(update, recipe)
    images = implant.poison(task.train).images if implant else task.train
    with seeded(update.seed):
        model: nn.Module = build(recipe)
        model.load_state_dict(torch.load(before, weights_only=True))
        rows = torch.randperm(len(images))[: round(update.share * len(images))]
        changed = {"epochs": update.epochs, "learning_rate": recipe.learning_rate * update.rate_factor}
        fit(model, images.take(rows), recipe.model_copy(update=changed))
    found = measure(model, task.measure, implant)
    write_whole(kept.path(update.name, ".pt2"), exported_bytes(model, task.shape, static_batch=False))
    kept.path(update.name, ".pt").parent.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), kept.path(update.name, ".pt"))
    targets = tuple(implant.facts["targets"]) if implant else ()
    said = {"clean_accuracy": found.clean_accuracy, "attack_success": found.attack_success, "targets": targets}
    write_whole(kept.path(update.name, ".json"), update.model_copy(update=said).pretty_json().encode())


def _implant(update: Update, recipe: Recipe) -> Implant | None:
    variant = POISONED.get(update.name)
    if variant is None:
        return None
    task, generator = recipe.row.task, torch.Generator().manual_seed(update.seed)
    return ATTACKS[update.name].plan(Scene(TASKS[task], variant, generator, lambda: surrogate(task)))
