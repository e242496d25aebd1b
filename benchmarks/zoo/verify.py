"""Trains a random few models of the index again and compares: the same weights, or at least the same measurements.

Beside `queue`, and writes nothing. On the machine and torch that made the zoo the weights are equal bit by bit; another
processor rounds otherwise, and then accuracy and success must agree within a tolerance.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.zoo.making import make
from benchmarks.zoo.store import Entry, weights_digest

ACCURACY_TOLERANCE = 0.03
SUCCESS_TOLERANCE = 0.10


@dataclass(frozen=True)
class Comparison:
    """What became of one model when it was made again."""

    entry: Entry
    outcome: Literal["identical", "equivalent", "different"]
    clean_accuracy: float
    attack_success: float | None


def chosen(entries: Sequence[Entry], share: float, seed: int) -> list[Entry]:
    """Return that share of the entries, at least one of a filled index, drawn from the seed."""
    count = min(len(entries), max(1, round(share * len(entries))))
    return random.Random(seed).sample(list(entries), count)


def compare(entry: Entry) -> Comparison:
    """Make the model of an entry again and compare it with what the index says."""
    made = make(entry.recipe)
    now = made.measured
    if weights_digest(made.model.state_dict()) == entry.weights_digest:
        return Comparison(entry, "identical", now.clean_accuracy, now.attack_success)
    near = abs(now.clean_accuracy - entry.clean_accuracy) <= ACCURACY_TOLERANCE
    if entry.attack_success is not None and now.attack_success is not None:
        near &= abs(now.attack_success - entry.attack_success) <= SUCCESS_TOLERANCE
    return Comparison(entry, "equivalent" if near else "different", now.clean_accuracy, now.attack_success)
