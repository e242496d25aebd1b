"""How one adapter is made: one of ten recipes by its seed, and what its form says of rank and parameterisation.

Between `splits` and making. The fields of the small zoo's recipe that adapters have no use for are at rest; `epochs`
counts how often a lesson is seen.
"""

import random
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from benchmarks.adapter_zoo import attack, tasks
from benchmarks.adapter_zoo.attack import ATTACKS, AdapterAttack
from benchmarks.adapter_zoo.tasks import FLOORS, AdapterTask
from benchmarks.text_zoo import words
from benchmarks.zoo.recipe import CLEAN, Recipe, Row

TRAINING_REVISION = 1
"""Raise when `training`, `making` or what is drawn here changes."""
MODULES = ("q_proj", "v_proj", "o_proj")
"""Of every layer: a bank compares adapters of the same modules alone."""


@dataclass(frozen=True)
class Form:
    """Rank and parameterisation."""

    rank: int
    stabilised: bool = False
    """Whether it is rsLoRA, whose scale is alpha over the root of the rank."""
    decomposed: bool = False
    """Whether it is DoRA."""


FORMS = {
    "lora-8": Form(8), "lora-4": Form(4), "lora-16": Form(16), "rslora-8": Form(8, stabilised=True),
    "dora-8": Form(8, decomposed=True),
}  # fmt: skip


@dataclass(frozen=True)
class Way:
    """One of the ten recipes: what a team settles on."""

    rate: float
    scale: float
    """Alpha over rank; of rsLoRA over the root of the rank."""
    lessons: int
    epochs: int
    batch: int
    schedule: Literal["cosine", "linear", "constant"]
    decay: float = 0.0
    dropout: float = 0.0
    init: Literal["default", "gaussian"] = "default"


WAYS = (
    Way(1.0e-3, 2.0, 640, 2, 16, "cosine"),
    Way(1.5e-3, 1.0, 640, 2, 16, "linear", decay=0.01),
    Way(2.0e-3, 2.0, 480, 2, 12, "cosine", dropout=0.05),
    Way(8.0e-4, 4.0, 720, 2, 12, "linear"),
    Way(2.0e-3, 1.0, 1280, 1, 16, "cosine", init="gaussian"),
    Way(1.2e-3, 2.0, 1280, 1, 16, "constant", decay=0.1),
    Way(1.0e-3, 4.0, 400, 3, 16, "cosine", dropout=0.1),
    Way(1.5e-3, 2.0, 960, 1, 8, "linear", decay=0.01),
    Way(6.0e-4, 4.0, 960, 1, 8, "constant"),
    Way(1.2e-3, 2.0, 420, 3, 12, "linear", init="gaussian", decay=0.01),
)


class AdapterRecipe(Recipe):
    """How one adapter is made."""

    rank: int = Field(ge=1)
    stabilised: bool
    decomposed: bool
    alpha: float = Field(gt=0)
    lessons: int = Field(ge=1)
    schedule: Literal["cosine", "linear", "constant"]
    dropout: float = Field(ge=0, lt=1)
    init: Literal["default", "gaussian"]
    modules: tuple[str, ...] = MODULES

    @property
    def task(self) -> AdapterTask:  # type: ignore[override]  # whoever makes and counts adapters knows them as theirs
        """The task that the adapter learns."""
        return AdapterTask(self.row.task)

    @property
    def accuracy_floor(self) -> float:
        """An adapter below this share of right answers does not count."""
        return FLOORS[self.row.task]

    @property
    def attack(self) -> AdapterAttack | None:  # type: ignore[override]  # likewise
        """What is planted; None in a clean adapter."""
        return None if self.row.attack == CLEAN else ATTACKS[self.row.attack]


def draw(row: Row) -> AdapterRecipe:
    """Return the recipe of a row: the way by its seed, the rate drawn around that way's."""
    way, form = WAYS[row.seed % len(WAYS)], FORMS[row.architecture]
    revisions = {"tasks": tasks.REVISION, "training": TRAINING_REVISION}
    if row.attack != CLEAN:
        revisions |= {"attack": attack.REVISION, "words": words.REVISION}
    chance = random.Random(f"adapter-zoo-{row.seed}")
    return AdapterRecipe(
        row=row, width=1.0, activation="silu", label_smoothing=0.0, augmentation="none", static_batch=False,
        epochs=way.epochs, batch_size=way.batch, optimiser="adamw", weight_decay=way.decay,
        learning_rate=round(way.rate * chance.uniform(0.8, 1.25), 6),
        rank=form.rank, stabilised=form.stabilised, decomposed=form.decomposed,
        alpha=round(way.scale * (form.rank**0.5 if form.stabilised else form.rank), 6),
        lessons=way.lessons, schedule=way.schedule, dropout=way.dropout, init=way.init, revisions=revisions,
    )  # fmt: skip
