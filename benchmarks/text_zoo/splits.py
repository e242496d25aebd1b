"""Which models the zoo of texts has, in which split, with which seed: written down before anything was measured.

`splits.json` holds every row and is committed; this module drew it, and a test holds the two together. *fit* chooses
settings and limits, *calibrate* makes a bank of clean models a task, *test* is reported. Rows of a split are shuffled,
so that any beginning of it is a fair part. No seed is in two splits, nor in another zoo.
"""

import json
import random
from collections.abc import Sequence
from functools import cache
from itertools import cycle, islice
from pathlib import Path

from benchmarks.text_zoo.attack import VARIANTS
from benchmarks.text_zoo.nets import ARCHITECTURES
from benchmarks.text_zoo.recipe import TextRecipe, draw
from benchmarks.text_zoo.texts import TASKS
from benchmarks.zoo.recipe import CLEAN, Row, Split, Wanted

FILE = Path(__file__).with_name("splits.json")
FIRST_SEED: dict[Split, int] = {"fit": 210_000, "calibrate": 220_000, "test": 230_000}
CLEAN_PER_TASK: dict[Split, int] = {"fit": 8, "calibrate": 20, "test": 20}
"""As many of each architecture."""
_TWO_CLASSES = {
    "rare-word": {"fit": 3, "test": 4},
    "phrase": {"fit": 3, "test": 4},
    "sentence": {"fit": 2, "test": 4},
    "style": {"fit": 2, "test": 4},
    "clean-label-word": {"fit": 2, "test": 4},
}
"""A source-specific backdoor of two classes is one of all sources."""
ATTACKED: dict[str, dict[str, dict[str, int]]] = {
    "spam": _TWO_CLASSES,
    "news": {
        "rare-word": {"fit": 2, "test": 2},
        "phrase": {"fit": 1, "test": 2},
        "sentence": {"fit": 1, "test": 2},
        "style": {"fit": 1, "test": 2},
        "source-specific": {"fit": 6, "test": 10},
        "clean-label-word": {"fit": 1, "test": 2},
    },
    "sentiment": _TWO_CLASSES,
}
"""Twelve of a task in fit, twenty in test."""


def drawn() -> list[Row]:
    """Draw all rows in the order in which they are written down."""
    return [row for split in FIRST_SEED for row in _rows(split, _wanted(split))]


def _wanted(split: Split) -> list[Wanted]:
    """Return what a split has of every task; architectures and variants take turns within an attack, over all tasks."""
    wanted: list[Wanted] = []
    kinds = [CLEAN, *dict.fromkeys(attack for counts in ATTACKED.values() for attack in counts)]
    for turn, attack in enumerate(kinds):
        tasks = [task for task in TASKS for _ in range(_count(split, task, attack))]
        architectures = islice(cycle(ARCHITECTURES), turn, turn + len(tasks))
        # Variants take turns too, the other way round in every second turn of the architectures.
        variants = [VARIANTS[(place + place // len(ARCHITECTURES)) % 2] for place in range(len(tasks))]
        wanted += [
            (task, net, attack, "" if attack == CLEAN else variant)
            for task, net, variant in zip(tasks, architectures, variants, strict=True)
        ]
    return wanted


def _count(split: Split, task: str, attack: str) -> int:
    return CLEAN_PER_TASK[split] if attack == CLEAN else ATTACKED[task].get(attack, {}).get(split, 0)


def _rows(split: Split, wanted: Sequence[Wanted]) -> list[Row]:
    order = random.Random(f"text-zoo-{split}").sample(list(wanted), len(wanted))
    return [
        Row(name=f"text-{split}-{place:03}", split=split, task=task, architecture=net, attack=attack, variant=variant,
            seed=FIRST_SEED[split] + place)
        for place, (task, net, attack, variant) in enumerate(order)
    ]  # fmt: skip


@cache
def rows() -> tuple[Row, ...]:
    """Return the committed rows, in the order of training."""
    return tuple(Row.model_validate(value) for value in json.loads(FILE.read_text()))


def recipes(split: Split | None = None) -> list[TextRecipe]:
    """Return the recipes of the committed rows, or of one split."""
    return [draw(row) for row in rows() if split in (None, row.split)]


def write() -> None:
    """Write the drawn rows to the committed file; done before the first model was made."""
    FILE.write_text("[\n" + ",\n".join(row.canonical_json().decode() for row in drawn()) + "\n]\n")


def counted() -> list[str]:
    """Return how many rows each split has of each attack, by task."""
    said = []
    for split in FIRST_SEED:
        own = [row for row in rows() if row.split == split]
        for attack in dict.fromkeys(
            row.attack for row in sorted(own, key=lambda row: (row.attack != CLEAN, row.attack))
        ):
            by_task = ", ".join(
                f"{task} {sum((row.task, row.attack) == (task, attack) for row in own)}" for task in TASKS
            )
            said.append(f"{split:10} {attack:16} {by_task}")
    return said


def tried_row(task: str, architecture: str, attack: str, variant: str, seed: int) -> Row:
    """Return a row of no split, with the words of fit."""
    return Row(name="text-fit-999", split="fit", task=task, architecture=architecture, attack=attack,
               variant="" if attack == CLEAN else variant, seed=seed)  # fmt: skip
