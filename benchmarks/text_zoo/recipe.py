"""How one model of texts is made, drawn from its seed as teams would choose: each otherwise.

Between `splits` and making. The fields of the small zoo's recipe mean the same here; `width` is of the embeddings or of
the hidden layer of MiniLM's head, `batch_size` the most texts of one length that meet in a step.
"""

import random

from pydantic import Field

from benchmarks.text_zoo import attack, nets, texts, words
from benchmarks.text_zoo.attack import ATTACKS, TextAttack
from benchmarks.text_zoo.texts import TASKS, TextTask
from benchmarks.zoo.recipe import CLEAN, Recipe, Row

TRAINING_REVISION = 1
"""Raise when `making`, `features` or what is drawn here changes."""
EPOCHS = {"embedding-bag": (20, 28), "bilstm": (8, 10), "minilm-head": (10, 14), "minilm-two-layers": (3, 4)}
LONGER = {"spam": 1, "news": 2, "sentiment": 1}
"""Times as many epochs: a task of fewer texts has fewer steps in each."""
RATES = {
    "embedding-bag": (4e-3, 1e-2),
    "bilstm": (3e-3, 6e-3),
    "minilm-head": (1.5e-3, 4e-3),
    "minilm-two-layers": (2e-4, 5e-4),
}
FLOORS = {
    "spam": {"embedding-bag": 0.9, "bilstm": 0.9, "minilm-head": 0.9, "minilm-two-layers": 0.9},
    "news": {"embedding-bag": 0.76, "bilstm": 0.7, "minilm-head": 0.85, "minilm-two-layers": 0.85},
    "sentiment": {"embedding-bag": 0.65, "bilstm": 0.65, "minilm-head": 0.7, "minilm-two-layers": 0.7},
}
"""A model below this clean accuracy does not count: some five points below what was tried of bags and of spam.

Of MiniLM on news and sentiment, and of the BiLSTM on sentiment, nothing was tried: theirs are guesses.
"""


class TextRecipe(Recipe):
    """How one model of texts is made."""

    share: float = Field(gt=0, le=1)
    """Of the task's pool, drawn by the seed."""

    @property
    def task(self) -> TextTask:  # type: ignore[override]  # whoever makes and counts texts knows them as texts
        """The task that the model learns."""
        return TASKS[self.row.task]

    @property
    def accuracy_floor(self) -> float:
        """A model below this clean accuracy does not count."""
        return FLOORS[self.row.task][self.row.architecture]

    @property
    def attack(self) -> TextAttack | None:
        """What is planted; None in a clean model."""
        return None if self.row.attack == CLEAN else ATTACKS[self.row.attack]


def draw(row: Row) -> TextRecipe:
    """Draw the recipe of a row from its seed."""
    rng = random.Random(f"text-zoo-{row.seed}")
    revisions = {"nets": nets.REVISION, "tasks": texts.REVISION, "training": TRAINING_REVISION}
    if row.attack != CLEAN:
        revisions |= {"attack": attack.REVISION, "words": words.REVISION}
    optimiser = rng.choice(("adam", "adamw"))
    return TextRecipe(
        row=row,
        share=rng.choice((0.7, 0.8, 0.9)),
        width=rng.choice((0.75, 1.0, 1.25)),
        activation=rng.choice(("relu", "relu", "silu", "leaky-relu")),
        epochs=LONGER[row.task] * rng.randint(*EPOCHS[row.architecture]),
        batch_size=rng.choice((16, 24, 32)),
        optimiser=optimiser,
        learning_rate=round(rng.uniform(*RATES[row.architecture]), 6),
        weight_decay=rng.choice((0.0, 5e-4, 5e-3)) if optimiser == "adamw" else rng.choice((0.0, 1e-5)),
        label_smoothing=rng.choice((0.0, 0.0, 0.05)),
        augmentation="none",
        static_batch=False,
        revisions=revisions,
    )
