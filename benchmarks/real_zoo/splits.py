"""Which models the real-size zoo has, in which split, with which seed: written down before anything was measured.

`splits.json` holds every row and is committed; this module drew it, and a test holds the two together. *fit* tries
settings, *bank* makes a reference bank of clean models a task, *test* is reported; *thousand* has five clean models and
five with a planted patch, of ImageNet's thousand classes. No seed is in two splits, nor in the small zoo. Rows stand in
the order of training, each split shuffled.
"""

import json
import random
from collections.abc import Sequence
from functools import cache
from itertools import cycle, islice
from pathlib import Path

from benchmarks.real_zoo.imagenet import IMAGENET
from benchmarks.real_zoo.nets import CUTS
from benchmarks.real_zoo.recipe import RealRecipe, draw
from benchmarks.real_zoo.tasks import TASKS
from benchmarks.zoo.attacks import ATTACKS
from benchmarks.zoo.recipe import CLEAN, Row, Split, Wanted

FILE = Path(__file__).with_name("splits.json")

FIRST_SEED: dict[Split, int] = {"fit": 110_000, "bank": 120_000, "test": 130_000, "thousand": 140_000}
CLEAN_PER_TASK: dict[Split, int] = {"fit": 4, "bank": 21, "test": 20}
ATTACKED_PER_TASK: dict[str, dict[Split, int]] = {
    "badnets": {"fit": 1, "test": 5},
    "blended": {"fit": 1, "test": 4},
    "wanet": {"fit": 1, "test": 4},
    "sig": {"fit": 1, "test": 4},
    "source-specific": {"fit": 1, "test": 4},
    "label-consistent": {"fit": 1, "test": 4},
    "payload": {"fit": 1, "test": 5},
}
"""Thirty in test; variants take turns."""
THOUSAND_EACH = 5


def drawn() -> list[Row]:
    """Draw all rows in the order in which they are written down."""
    wanted: dict[Split, list[Wanted]] = {split: _wanted(split) for split in CLEAN_PER_TASK}
    wanted["thousand"] = [(IMAGENET.id, "mobilenet-v2", CLEAN, "")] * THOUSAND_EACH
    wanted["thousand"] += [(IMAGENET.id, "mobilenet-v2", "badnets", "large")] * THOUSAND_EACH
    return [row for split, ones in wanted.items() for row in _rows(split, ones)]


def _wanted(split: Split) -> list[Wanted]:
    """Return what a split has of every task; the nets alternate within the clean ones and within each attack."""
    return [
        (task, net, attack, variant)
        for task in TASKS
        for turn, (attack, variants, count) in enumerate(_kinds(split))
        for net, variant in zip(_turning(list(CUTS), turn, count), islice(cycle(variants), count), strict=True)
    ]


def _kinds(split: Split) -> list[tuple[str, tuple[str, ...], int]]:
    attacked = [(name, ATTACKS[name].variants, counts.get(split, 0)) for name, counts in ATTACKED_PER_TASK.items()]
    return [(CLEAN, ("",), CLEAN_PER_TASK[split]), *attacked]


def _turning(names: Sequence[str], turn: int, count: int) -> list[str]:
    return list(islice(cycle(names), turn, turn + count))


def _rows(split: Split, wanted: Sequence[Wanted]) -> list[Row]:
    order = random.Random(f"real-zoo-{split}").sample(list(wanted), len(wanted))
    return [
        Row(
            name=f"real-{split}-{place:03}",
            split=split,
            task=task,
            architecture=net,
            attack=attack,
            variant=variant,
            seed=FIRST_SEED[split] + place,
        )
        for place, (task, net, attack, variant) in enumerate(order)
    ]


@cache
def rows() -> tuple[Row, ...]:
    """Return the committed rows, in the order of training."""
    return tuple(Row.model_validate(value) for value in json.loads(FILE.read_text()))


def recipes(split: Split | None = None) -> list[RealRecipe]:
    """Return the recipes of the committed rows, or of one split."""
    return [draw(row) for row in rows() if split in (None, row.split)]


def write() -> None:
    """Write the drawn rows to the committed file; done before the first model was made."""
    FILE.write_text("[\n" + ",\n".join(row.canonical_json().decode() for row in drawn()) + "\n]\n")
