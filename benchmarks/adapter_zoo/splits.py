"""Which adapters the zoo has, in which split, with which seed: written down before anything was trained.

`splits.json` holds every row and is committed; this module drew it, and a test holds the two together. *fit* chooses
settings, *calibrate* makes the one bank, *test* is reported. Of fit and calibrate all are LoRA of rank 8. In test a
row's variant says what it is to them: in the domain, an attack that fit has none of, a rank in another band, or another
parameterisation. Rows of a split are shuffled, so that any beginning of it is a fair part.
"""

import json
import random
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import cycle
from pathlib import Path

from benchmarks.adapter_zoo.attack import ATTACKS
from benchmarks.adapter_zoo.recipe import AdapterRecipe, draw
from benchmarks.adapter_zoo.tasks import TASKS
from benchmarks.zoo.recipe import CLEAN, Row, Split, Wanted

FILE = Path(__file__).with_name("splits.json")
FIRST_SEED: dict[Split, int] = {"fit": 310_000, "calibrate": 320_000, "test": 330_000}
IN_DOMAIN, ATTACK, RANK, KIND = "in-domain", "unseen-attack", "unseen-rank", "unseen-parameterisation"
DOMAINS = (IN_DOMAIN, ATTACK, RANK, KIND)
USUAL = "lora-8"
CLEAN_PER_TASK: dict[Split, int] = {"fit": 2, "calibrate": 4, "test": 4}
"""Of LoRA of rank 8."""
SEEN = ("fixed-output", "refusal", "sentiment")
"""Kinds of which fit has some; the others are unseen."""
ATTACKED: dict[Split, dict[str, int]] = {
    "fit": dict.fromkeys(SEEN, 3),
    "test": {**dict.fromkeys(SEEN, 5), "code": 6, "date": 6},
}
"""Of LoRA of rank 8."""
OTHER_FORMS = {RANK: ("lora-4", "lora-16"), KIND: ("rslora-8", "dora-8")}
"""In test alone: six clean ones, one a task, and one an attack."""


def drawn() -> list[Row]:
    """Draw all rows in the order in which they are written down."""
    return [row for split in FIRST_SEED for row in _rows(split, list(_wanted(split)))]


def _wanted(split: Split) -> Iterator[Wanted]:
    """Yield what a split has; the tasks of an attack take turns."""
    yield from ((task, USUAL, CLEAN, IN_DOMAIN) for task in TASKS for _ in range(CLEAN_PER_TASK[split]))
    turns = {name: cycle(one.tasks[turn:] + one.tasks[:turn]) for turn, (name, one) in enumerate(ATTACKS.items())}
    for attack, count in ATTACKED.get(split, {}).items():
        variant = IN_DOMAIN if attack in SEEN else ATTACK
        yield from ((next(turns[attack]), USUAL, attack, variant) for _ in range(count))
    if split == "test":
        for variant, forms in OTHER_FORMS.items():
            shapes = cycle(forms)
            yield from ((task, next(shapes), CLEAN, variant) for task in TASKS)
            yield from ((next(turns[attack]), next(shapes), attack, variant) for attack in ATTACKS)


def _rows(split: Split, wanted: Sequence[Wanted]) -> list[Row]:
    order = random.Random(f"adapter-zoo-{split}").sample(list(wanted), len(wanted))
    return [
        Row(name=f"adapter-{split}-{place:03}", split=split, task=task, architecture=form, attack=attack,
            variant=variant, seed=FIRST_SEED[split] + place)
        for place, (task, form, attack, variant) in enumerate(order)
    ]  # fmt: skip


@cache
def rows() -> tuple[Row, ...]:
    """Return the committed rows, in the order of training."""
    return tuple(Row.model_validate(value) for value in json.loads(FILE.read_text()))


def recipes(split: Split | None = None) -> list[AdapterRecipe]:
    """Return the recipes of the committed rows, or of one split."""
    return [draw(row) for row in rows() if split in (None, row.split)]


def write() -> None:
    """Write the drawn rows to the committed file; done before the first adapter was made."""
    FILE.write_text("[\n" + ",\n".join(row.canonical_json().decode() for row in drawn()) + "\n]\n")


def tried_row(task: str, form: str, attack: str, seed: int) -> Row:
    """Return a row of no split, with the triggers of fit."""
    return Row(name="adapter-fit-999", split="fit", task=task, architecture=form, attack=attack, variant=IN_DOMAIN,
               seed=seed)  # fmt: skip
