"""Which models of the fit split take part, and in which order: drawn by a seed before anything was measured.

Clean and backdoored models take turns, and so do tasks, so that a run that is broken off has some of each. Left out are
the tasks whose models cost twice as much (twenty classes; colour), and attacks in the graph, which no gradient shows:
payload modules and architectural backdoors are for `graph-structure`, with or without references.
"""

import itertools
import random
from collections.abc import Iterable

from benchmarks.zoo.recipe import CLEAN
from benchmarks.zoo.store import Entry

TASKS = ("digits", "fashion")
IN_THE_GRAPH = frozenset({"payload", "architectural"})


def chosen(entries: Iterable[Entry], most: int, seed: int = 0) -> list[Entry]:
    """Return at most so many clean models and as many backdoored ones, alternating, each kind by tasks in turn."""
    known = sorted(entries, key=lambda entry: entry.name)
    clean = _in_turn([entry for entry in known if entry.recipe.row.attack == CLEAN], seed)
    backdoored = _in_turn([entry for entry in known if entry.recipe.row.attack not in {CLEAN, *IN_THE_GRAPH}], seed)
    pairs = itertools.zip_longest(clean[:most], backdoored[:most])
    return [entry for pair in pairs for entry in pair if entry is not None]


def _in_turn(entries: list[Entry], seed: int) -> list[Entry]:
    """Return the entries shuffled within each task, one of each task after the other."""
    rng = random.Random(f"self-references-{seed}")
    by_task = {task: [entry for entry in entries if entry.recipe.row.task == task] for task in TASKS}
    for members in by_task.values():
        rng.shuffle(members)
    rows = itertools.zip_longest(*by_task.values())
    return [entry for row in rows for entry in row if entry is not None]
