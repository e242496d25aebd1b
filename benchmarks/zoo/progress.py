"""Making what is missing of a zoo while it is said, with the index kept up to date; and how many are made and count.

Above `queue` and the store; for zoos with splits of their own (`benchmarks.real_zoo`, `benchmarks.text_zoo`).
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import click

from benchmarks.zoo.queue import Make, without_model, work
from benchmarks.zoo.recipe import Recipe
from benchmarks.zoo.store import Entry, Store, merge_index, read_index


def to_make(
    store: Store, recipes: Sequence[Recipe], index: Path, *, limit: int | None = None, new: bool = False
) -> list[Recipe]:
    """Return what is missing of some recipes, in their order; `new` leaves out what the index holds already."""
    indexed = {entry.key for entry in read_index(index, store.kind)} if new else set()
    return [one for one in without_model(store, recipes) if one.key not in indexed][:limit]


def train_missing(
    store: Store, todo: Sequence[Recipe], index: Path, every: Sequence[Recipe], make_one: Make, *, jobs: int
) -> None:
    """Make these models, say each, and write the index of all the zoo's recipes after each."""
    click.echo(f"{len(todo)} models to make in {store.root}")
    for number, (entry, seconds) in enumerate(work(store, todo, jobs=jobs, make_one=make_one), start=1):
        click.echo(f"{number}/{len(todo)} {line(entry)} {seconds:.0f} s, {entry.seconds:.0f} of the processor")
        sys.stdout.flush()
        merge_index(store, index, every)


def line(entry: Entry) -> str:
    """Return one line about a model."""
    row = entry.recipe.row
    attack = f"{row.attack} {row.variant}".strip()
    success = "" if entry.attack_success is None else f" success {entry.attack_success:.3f}"
    verdict = "" if entry.counts else f" LEFT OUT: {entry.reason}"
    return f"{row.name} {row.task} {row.architecture} {attack} accuracy {entry.clean_accuracy:.3f}{success}{verdict}"


def status_lines(recipes: Iterable[Recipe], entry_of: Callable[[Recipe], Entry | None]) -> Iterator[str]:
    """Yield how many models of each split, task and attack are planned, made and count."""
    planned: Counter[tuple[str, str, str]] = Counter()
    made: Counter[tuple[str, str, str]] = Counter()
    counting: Counter[tuple[str, str, str]] = Counter()
    for recipe in recipes:
        kind: tuple[str, str, str] = (recipe.row.split, recipe.row.task, recipe.row.attack)
        planned[kind] += 1
        if entry := entry_of(recipe):
            made[kind] += 1
            counting[kind] += entry.counts
    for kind, count in planned.items():
        told = " ".join(f"{part:16}" for part in kind)
        yield f"{told} planned {count:2}  made {made[kind]:2}  count {counting[kind]:2}"
