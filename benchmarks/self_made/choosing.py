"""Which banks are made: two tasks and two nets of a split, and the clean model whose program is copied; by rule.

From the written rows alone, before any model is opened. The *form* of a program is what decides its graph besides task
and net: width, activation, and whether it takes several images at once, without which no copy can be trained. Of all
two tasks and two nets whose four pairs have a clean model to copy and a backdoored one, those are taken whose pairs
have, added up, most clean models of one form; ties go by name. `CHOSEN` is what the rule says of today's rows.
"""

from collections import Counter
from dataclasses import dataclass
from functools import cache
from itertools import combinations, product

from benchmarks.zoo.recipe import CLEAN, Recipe, Split, draw
from benchmarks.zoo.splits import rows
from benchmarks.zoo.store import Entry, Store
from gate.records.errors import CannotFinishError

Chosen = tuple[tuple[str, ...], tuple[str, ...]]
"""Tasks and nets."""
Form = tuple[float, str, bool]

CHOSEN: dict[Split, Chosen] = {
    "fit": (("catalogue", "colour"), ("cnn", "resnet")),
    "unseen": (("digits", "fashion"), ("class-token", "inception")),
}
"""The split on which this is developed, and the one that is reported, once."""


@dataclass(frozen=True)
class Pair:
    """A task and a net of a split, for which one bank is made."""

    split: Split
    task: str
    net: str

    @property
    def name(self) -> str:
        """The pair's name in tables and of its folder."""
        return f"{self.task}-{self.net}"

    def holds(self, entry: Entry) -> bool:
        """Tell whether a model is one of this split, task and net."""
        row = entry.recipe.row
        return (row.split, row.task, row.architecture) == (self.split, self.task, self.net)


def pairs_of(split: Split) -> tuple[Pair, ...]:
    """Return the pairs of a split for which banks are made."""
    return tuple(Pair(split, task, net) for task, net in product(*CHOSEN[split]))


def choice(split: Split) -> Chosen:
    """Return the tasks and nets that the rule takes from the written rows."""
    counts = {pair: count for pair in _pairs(split) if (count := _alike(pair))}
    tasks, nets = (sorted({getattr(pair, part) for pair in counts}) for part in ("task", "net"))
    squares = [
        (sum(counts[Pair(split, *place)] for place in product(*square)), square)
        for square in product(combinations(tasks, 2), combinations(nets, 2))
        if all(Pair(split, *place) in counts for place in product(*square))
    ]
    return max(squares, key=lambda one: one[0])[1]


def form_of(recipe: Recipe) -> Form:
    """Return what decides a program's graph besides task and net."""
    return recipe.width, recipe.activation, recipe.static_batch


def copied(pair: Pair) -> list[Recipe]:
    """Return the clean models that can be copied: those of the form that most have first, in the split's order."""
    clean = [one for one in _recipes(pair) if one.row.attack == CLEAN and not one.static_batch]
    forms = [form_of(one) for one in clean]
    return sorted(clean, key=lambda one: (-forms.count(form_of(one)), forms.index(form_of(one))))


def source_of(pair: Pair, store: Store) -> Entry:
    """Return the model whose program is copied: the first of them that counts; one that is not made is an error."""
    for recipe in copied(pair):
        entry = store.entry(recipe)
        if entry is None:
            raise CannotFinishError(
                f"{recipe.row.name}, whose program {pair.name} would copy, is not made yet",
                what_to_do=f"Run: python -m benchmarks.zoo train --split {pair.split}",
            )
        if entry.counts:
            return entry
    raise CannotFinishError(f"no clean model of {pair.name} in {pair.split} counts")


def _alike(pair: Pair) -> int:
    """Return how many clean models share the most common form; none where there is no backdoored model beside them."""
    if all(one.row.attack == CLEAN for one in _recipes(pair)):
        return 0
    return max(Counter(map(form_of, copied(pair))).values(), default=0)


def _pairs(split: Split) -> list[Pair]:
    return sorted({_pair(recipe) for recipe in _drawn() if recipe.row.split == split}, key=lambda pair: pair.name)


def _recipes(pair: Pair) -> list[Recipe]:
    return [recipe for recipe in _drawn() if _pair(recipe) == pair]


def _pair(recipe: Recipe) -> Pair:
    return Pair(recipe.row.split, recipe.row.task, recipe.row.architecture)


@cache
def _drawn() -> tuple[Recipe, ...]:
    return tuple(draw(row) for row in rows())
