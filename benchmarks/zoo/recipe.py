"""Recipe: all that decides one model of the zoo, drawn from its seed; its digest names the model in the cache.

Between `splits` and training. The same split row always draws the same recipe. Revisions of the code that a model
depends on are part of the recipe, so that raising one makes exactly the models concerned again.
"""

import random
from typing import Literal

from pydantic import Field

from benchmarks.zoo import architectures, controls, tasks, unseen_nets
from benchmarks.zoo.attack import AttackKind
from benchmarks.zoo.attacks import ATTACKS
from benchmarks.zoo.controls import CONTROLS
from benchmarks.zoo.tasks import TASKS, Task
from benchmarks.zoo.unseen_nets import UNSEEN, WITHOUT_SGD
from gate.records.record import Record

TRAINING_REVISION = 1
"""Raise when `training`, `export` or what is drawn here changes."""

EPOCHS = {
    "fashion": (4, 6), "digits": (4, 6), "catalogue": (4, 6), "colour": (6, 8),
    "one": (4, 6), "two": (4, 6), "three": (10, 14), "five": (7, 10), "seven": (4, 6),
}  # fmt: skip
"""More of them where a task has few images."""
EPOCHS_UNSEEN = {**EPOCHS, "colour": (8, 10)}
"""Of the nets of `unseen`, several of which learn colour slowly."""
CLEAN = "clean"

Split = Literal["fit", "calibrate", "test", "adaptive", "few", "unseen", "evading", "bank", "thousand"]
"""`bank` and `thousand` are of the zoo of real size (`benchmarks.real_zoo`), which has its own *fit* and *test*."""
LATER: tuple[Split, ...] = ("few", "unseen", "evading")
"""Splits written down after the first four (decision 0026)."""

Wanted = tuple[str, str, str, str]
"""What a row is drawn for: task, architecture, attack and variant."""


class Row(Record):
    """One line of the splits: which model is made, and the seed that decides the rest."""

    name: str = Field(
        pattern=r"^((fit|calibrate|test|adaptive|few|unseen|evading)|real-(fit|bank|test|thousand)"
        r"|(text|adapter)-(fit|calibrate|test))-[0-9]{3}$"
    )
    split: Split
    task: str
    architecture: str
    attack: str = CLEAN
    """An attack's id, or `clean`."""
    variant: str = ""
    seed: int


class Recipe(Record):
    """How one model is made."""

    row: Row
    width: float
    activation: str
    epochs: int
    batch_size: int
    optimiser: Literal["adam", "adamw", "sgd"]
    learning_rate: float
    weight_decay: float
    label_smoothing: float
    augmentation: Literal["none", "shift", "noise", "shift and noise"]
    static_batch: bool
    """True: exported for one image at a time, as models of a serving system may be."""
    revisions: dict[str, int]

    @property
    def task(self) -> Task:
        """The task that the model learns."""
        return TASKS[self.row.task]

    @property
    def success_floor(self) -> float | None:
        """The attack success that a backdoored model must reach to count; None for a clean one."""
        return self.attack.success_floor if self.attack else None

    @property
    def accuracy_floor(self) -> float:
        """A model below this clean accuracy does not count."""
        return self.task.accuracy_floor

    @property
    def attack(self) -> AttackKind | None:
        """What is planted; None in a clean model."""
        return None if self.row.attack == CLEAN else ATTACKS[self.row.attack]

    @property
    def key(self) -> str:
        """The recipe's digest, short enough for a file name."""
        return self.content_sha256[:32]


def draw(row: Row) -> Recipe:
    """Draw the recipe of a row from its seed."""
    rng = random.Random(f"zoo-{row.seed}")
    adaptive = row.architecture in ("vit", *WITHOUT_SGD)
    optimiser = rng.choice(("adam", "adamw", "adamw") if adaptive else ("adam", "adamw", "sgd"))
    rate = rng.uniform(0.04, 0.08) if optimiser == "sgd" else rng.uniform(0.003, 0.006)
    revisions = {"architectures": architectures.REVISION, "tasks": tasks.REVISION, "training": TRAINING_REVISION}
    if row.architecture in CONTROLS:
        revisions["controls"] = controls.REVISION
    if row.architecture in UNSEEN:
        revisions["unseen_nets"] = unseen_nets.REVISION
    if row.attack != CLEAN:
        revisions["attack"] = ATTACKS[row.attack].revision
    usual = ("relu", "relu", "leaky-relu", "silu", "hardswish")
    return Recipe(
        row=row,
        width=rng.choice((0.75, 1.0, 1.25)),
        activation=rng.choice(unseen_nets.ACTIVATIONS if row.architecture in UNSEEN else usual),
        epochs=rng.randint(*(EPOCHS_UNSEEN if row.architecture in UNSEEN else EPOCHS)[row.task]),
        batch_size=rng.choice((64, 100, 128)),
        optimiser=optimiser,
        learning_rate=round(rate, 5),
        weight_decay=rng.choice((0.0, 5e-4, 5e-3)) if optimiser == "adamw" else rng.choice((0.0, 1e-4, 5e-4)),
        label_smoothing=rng.choice((0.0, 0.0, 0.05, 0.1)),
        augmentation=rng.choice(("none", "shift", "noise", "shift and noise")),
        static_batch=rng.random() < 0.125,
        revisions=revisions,
    )
