"""The folder of a seed and an index: a base and up to three mutations, each folder reproducible alone."""

import random
from dataclasses import dataclass

from tests.oracle.bases import Base
from tests.oracle.draft import Draft, InapplicableError
from tests.oracle.mutations import MUTATIONS, Mutation

_DEPTHS = (0, 1, 1, 1, 1, 2, 2, 2, 3, 3)
"""How many mutations, each as likely: one folder in ten has none."""
_HARMLESS = 0.5
"""The share of folders that are made by harmless mutations alone: without them few would be accepted and compared."""
_MIXED = 0.6
"""In another folder, how likely each further mutation is a harmless one: a hostile part among parts that pass."""


@dataclass(frozen=True)
class Made:
    """A folder, and what was done to it."""

    draft: Draft
    applied: tuple[Mutation, ...]
    """In order; those that had nothing to change are left out."""

    @property
    def names(self) -> list[str]:
        """The names of what was applied."""
        return [each.name for each in self.applied]

    @property
    def harmless(self) -> bool:
        """Whether nothing but harmless mutations was applied."""
        return all(each.harmless for each in self.applied)

    @property
    def same_program(self) -> bool:
        """Whether a bundle must hold the program of the unmutated folder's, byte for byte."""
        return self.harmless and all(each.same_program for each in self.applied)


def made(seed: int, index: int, bases: dict[str, Base]) -> Made:
    """Return the folder of a seed and an index."""
    dice = random.Random(f"{seed}:{index}")
    base = bases[dice.choice(sorted(bases))]
    return composed(base, _chosen(dice), dice)


def composed(base: Base, names: list[str], dice: random.Random) -> Made:
    """Return a base's folder after mutations by name."""
    draft = Draft.of(base, dice)
    applied = []
    for name in names:
        before = dict(draft.files)
        try:
            MUTATIONS[name].change(draft)
        except InapplicableError:
            draft.files = before
            continue
        if draft.files != before:
            applied.append(MUTATIONS[name])
    return Made(draft, tuple(applied))


def _chosen(dice: random.Random) -> list[str]:
    depth = dice.choice(_DEPTHS)
    quiet = [name for name, each in MUTATIONS.items() if each.harmless]
    loud = [name for name, each in MUTATIONS.items() if not each.harmless]
    if depth == 0:
        return []
    if dice.random() < _HARMLESS:
        return dice.sample(quiet, depth)
    names = [dice.choice(loud)]
    while len(names) < depth:
        name = dice.choice(quiet if dice.random() < _MIXED else loud)
        if name not in names:
            names.append(name)
    dice.shuffle(names)
    return names
