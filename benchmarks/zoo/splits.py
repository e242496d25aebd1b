"""Which models the zoo has, in which split, with which seed: written down before anything was measured.

The beginning of the flow. `splits.json` holds every row and is committed; this module drew it, and a test holds the two
together. *fit* chooses settings, *calibrate* makes reference banks (clean models only), *test* is reported and never
tuned on; *adaptive* holds attacks by somebody who knows the detectors, written after them. *few*, *unseen* and
*evading* came later (`later_splits`). No seed is in two splits. Rows are in the order of training, the shuffled splits
shuffled: fit, calibrate, test, adaptive, few, unseen, evading.
"""

import json
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

from benchmarks.zoo.architectures import FAMILIES
from benchmarks.zoo.attacks import ATTACKS
from benchmarks.zoo.controls import CONTROLS
from benchmarks.zoo.later_splits import LATER_SPLITS
from benchmarks.zoo.recipe import CLEAN, Row, Split, Wanted
from benchmarks.zoo.tasks import MANY

FILE = Path(__file__).with_name("splits.json")

FIRST_ATTACKS = [attack for attack in ATTACKS.values() if attack.since == "first"]
"""Those of the first four splits."""

FIRST_SEED: dict[Split, int] = {
    "fit": 10_000, "calibrate": 20_000, "test": 30_000, "adaptive": 40_000,
    "few": 50_000, "unseen": 60_000, "evading": 70_000,
}  # fmt: skip
FIRST_TURN: dict[Split, int] = {"fit": 0, "calibrate": 0, "test": 3}
"""Where each split's rotation over tasks and families begins."""
CLEAN_PER_TASK: dict[Split, int] = {"fit": 8, "calibrate": 24, "test": 28}
"""Eight families and controls take turns."""

PER_VARIANT: dict[str, dict[Split, int]] = {
    "badnets": {"fit": 2, "test": 9},
    "payload": {"fit": 1, "test": 4},
    "architectural": {"fit": 1, "test": 4},
    "sig": {"fit": 4, "test": 12},
    "label-consistent": {"fit": 4, "test": 12},
}
PER_OTHER: dict[Split, int] = {"fit": 3, "test": 10}
"""More than the promised eight in test, because some attacks fail; the clean-label ones fail more often."""

ADDED: dict[str, int] = {"all-to-all": 5, "input-aware": 3, "multi-target": 3, "semantic": 3, "source-specific": 3}
"""Rows added to test where fewer than eight of an attack counted, before any of test was measured (decision 0008)."""


ADAPTIVE_TASKS, ADAPTIVE_FAMILIES = ("digits", "fashion"), ("cnn", "resnet", "depthwise")
ADAPTIVE_AGAIN: tuple[Wanted, ...] = (("fashion", "cnn", "aligned-features", "patch"),)
"""Made again from another seed, because the first model did not learn its trigger."""


def draw_adaptive() -> list[Row]:
    """Draw the rows of the split `adaptive`: each such attack on each of two tasks, cheap families taking turns."""
    attacks = [attack for attack in FIRST_ATTACKS if attack.knows_the_gate]
    wanted = [
        (task, ADAPTIVE_FAMILIES[(turn + step) % len(ADAPTIVE_FAMILIES)], attack.id, variant)
        for step, task in enumerate(ADAPTIVE_TASKS)
        for turn, attack in enumerate(attacks)
        for variant in attack.variants
    ]
    return _rows("adaptive", [*wanted, *ADAPTIVE_AGAIN], first=0)


def drawn() -> list[Row]:
    """Draw all rows in the order in which they are written down."""
    shuffled = [row for split in FIRST_TURN for row in draw_split(split)]
    later = [row for split, wanted in LATER_SPLITS.items() for row in _rows(split, wanted(), first=0)]
    return [*shuffled, *draw_added(), *draw_adaptive(), *later]


def draw_split(split: Split) -> list[Row]:
    """Draw the rows of fit, calibrate or test; tasks and families rotate so that every attack meets them all."""
    wanted = [
        (task, architecture, CLEAN, "")
        for task in MANY
        for architecture, _ in zip(_repeated([*FAMILIES, *CONTROLS]), range(CLEAN_PER_TASK[split]), strict=False)
    ]
    wanted += _rotated(split, lambda attack: range(PER_VARIANT.get(attack, PER_OTHER).get(split, 0)))
    random.Random(f"zoo-{split}").shuffle(wanted)
    return _rows(split, wanted, first=0)


def draw_added() -> list[Row]:
    """Draw the rows that were added to test: the rotation of each attack goes on where `draw_split` left it."""
    past = PER_OTHER["test"]
    wanted = _rotated("test", lambda attack: range(past, past + ADDED.get(attack, 0)))
    return _rows("test", wanted, first=len(draw_split("test")))


def _rotated(split: Split, steps_of: Callable[[str], range]) -> list[Wanted]:
    """Return the backdoored models at these steps of each attack's rotation over tasks and families."""
    tasks, families = MANY, list(FAMILIES)
    published = [attack for attack in FIRST_ATTACKS if not attack.knows_the_gate]
    arms = [(attack.id, variant) for attack in published for variant in attack.variants]
    turns = ((arm + FIRST_TURN[split], *what) for arm, what in enumerate(arms))
    return [
        (tasks[(turn + step) % len(tasks)], families[(2 * turn + step) % len(families)], attack, variant)
        for turn, attack, variant in turns
        for step in steps_of(attack)
    ]


def _rows(split: Split, wanted: list[Wanted], first: int) -> list[Row]:
    return [
        Row(
            name=f"{split}-{place:03}",
            split=split,
            task=task,
            architecture=architecture,
            attack=attack,
            variant=variant,
            seed=FIRST_SEED[split] + place,
        )
        for place, (task, architecture, attack, variant) in enumerate(wanted, start=first)
    ]


def _repeated(names: list[str]) -> list[str]:
    return names * (max(CLEAN_PER_TASK.values()) // len(names) + 1)


@cache
def rows() -> tuple[Row, ...]:
    """Return the committed rows, in the order of training."""
    return tuple(Row.model_validate(value) for value in json.loads(FILE.read_text()))


def write() -> None:
    """Write the drawn rows to the committed file; done before the first model was made, and again for those added."""
    FILE.write_text("[\n" + ",\n".join(row.canonical_json().decode() for row in drawn()) + "\n]\n")
