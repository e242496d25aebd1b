"""How one model of the real-size zoo is made, drawn from its seed as teams would choose: each otherwise.

Between `splits` and making. The fields of the small zoo's recipe mean the same here; `width` and `activation` are of
the hidden layer of the head, where it has one, and `epochs` counts how often an image is seen.
"""

import random

from pydantic import Field

from benchmarks.real_zoo import imagenet, nets, tasks
from benchmarks.real_zoo.imagenet import IMAGENET
from benchmarks.real_zoo.tasks import TASKS
from benchmarks.zoo.attacks import ATTACKS
from benchmarks.zoo.recipe import CLEAN, Recipe, Row
from benchmarks.zoo.tasks import Task

TRAINING_REVISION = 1
"""Raise when `making`, `features` or what is drawn here changes."""
ALL_TASKS = {**TASKS, IMAGENET.id: IMAGENET}
EPOCHS = {"solar": (4, 5, 6), "emoji": (8, 9, 10)}
"""By task: in four to six, nets of the nine groups of emoji learn three of four backdoors to less than 0.9."""
AUGMENTATIONS = ("none", "shift", "noise", "shift and noise")
SUCCESS_SHARES = {"emoji": 0.9}
"""Part of an attack's floor of success from which a model of a task counts: nets of emoji, which are right on three of
four images, learn backdoors to 0.85 to 0.9."""
RATES = {"adam": (4e-4, 1.5e-3), "adamw": (4e-4, 1.5e-3), "sgd": (0.01, 0.03)}


class RealRecipe(Recipe):
    """How one model of real size is made."""

    cut: int = Field(ge=1)
    """How many of the packaged net's first blocks keep their weights."""
    share: float = Field(gt=0, le=1)
    """Of the training set, drawn by the seed."""
    hidden: bool
    """Whether the head has a hidden layer."""

    @property
    def task(self) -> Task:
        """The task that the model learns."""
        return ALL_TASKS[self.row.task]

    @property
    def success_floor(self) -> float | None:
        """The attack success that a backdoored model must reach to count; None for a clean one."""
        floor = super().success_floor
        return None if floor is None else round(floor * SUCCESS_SHARES.get(self.row.task, 1.0), 3)


def draw(row: Row) -> RealRecipe:
    """Draw the recipe of a row from its seed."""
    rng = random.Random(f"real-zoo-{row.seed}")
    revisions = {"nets": nets.REVISION, "tasks": tasks.REVISION, "training": TRAINING_REVISION}
    if row.attack != CLEAN:
        revisions["attack"] = ATTACKS[row.attack].revision
    if row.task == IMAGENET.id:
        return _tuned_further(row, rng, revisions | {"tasks": imagenet.REVISION})
    optimiser = rng.choice(("adam", "adamw", "adamw", "sgd"))
    return RealRecipe(
        row=row,
        cut=rng.choice(nets.CUTS[row.architecture]),
        share=rng.choice((0.8, 0.9, 1.0)),
        hidden=rng.random() < 0.25,
        width=rng.choice((0.75, 1.0, 1.25)),
        activation=rng.choice(("relu", "relu", "gelu", "hardswish")),
        epochs=rng.choice(EPOCHS[row.task]),
        batch_size=rng.choice((32, 50, 64)),
        optimiser=optimiser,
        learning_rate=round(rng.uniform(*RATES[optimiser]), 6),
        weight_decay=rng.choice((0.0, 5e-4, 5e-3)) if optimiser == "adamw" else rng.choice((0.0, 1e-4, 5e-4)),
        label_smoothing=rng.choice((0.0, 0.0, 0.05, 0.1)),
        augmentation=rng.choice(AUGMENTATIONS),
        static_batch=rng.random() < 0.125,
        revisions=revisions,
    )


def _tuned_further(row: Row, rng: random.Random, revisions: dict[str, int]) -> RealRecipe:
    """Draw how the net of a thousand classes is tuned further; it keeps its own head."""
    return RealRecipe(
        row=row,
        cut=rng.choice((14, 16)),
        share=rng.choice((0.8, 0.9, 1.0)),
        hidden=False,
        width=1.0,
        activation="relu6",
        epochs=rng.choice((3, 4, 5)),
        batch_size=50,
        optimiser="adam",
        learning_rate=round(rng.uniform(1e-4, 3e-4), 6),
        weight_decay=0.0,
        label_smoothing=0.0,
        augmentation="none",
        static_batch=False,
        revisions=revisions,
    )
