"""The commands that every zoo with splits of its own has: train, status and scan.

Above `running` and the zoos' queue; `real_zoo`, `text_zoo` and `adapter_zoo` add them to their groups.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks.efficacy.measuring_commands import scan_and_collect
from benchmarks.efficacy.options import bench_on
from benchmarks.efficacy.running import Choice
from benchmarks.efficacy.subjects import models_among
from benchmarks.efficacy.summaries import path_of
from benchmarks.efficacy.zoos import Zoo
from benchmarks.zoo.progress import status_lines, to_make, train_missing
from benchmarks.zoo.queue import Make
from benchmarks.zoo.recipe import Recipe, Split
from benchmarks.zoo.store import Store, read_index

NICE = 10
_TASK = click.option("--task", help="Only models of this task.")


@dataclass(frozen=True)
class Lines:
    """What the commands of one zoo work on."""

    store: Callable[[], Store]
    zoo: Callable[[], Zoo]
    splits: tuple[Split, ...]
    make: Make
    policy: Path
    threads: int = 1
    budget: float = 3600.0
    """Seconds of a scan."""
    prepare: Callable[[Store, Sequence[Recipe]], None] = lambda _store, _todo: None
    """What is written before models are made, such as samples."""


def add_commands(group: click.Group, lines: Lines) -> None:
    """Give a zoo's group its commands `train`, `status` and `scan`."""
    for command in (_train(lines), _status(lines), _scan(lines)):
        group.add_command(command)


def _train(lines: Lines) -> click.Command:
    @click.command()
    @click.option("--split", type=click.Choice(lines.splits), help="Only this one; default all, in the written order.")
    @_TASK
    @click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes, one thread each.")
    @click.option("--new", is_flag=True, help="Only models that the index does not hold, as on another machine.")
    @click.option("--limit", type=click.IntRange(0), help="At most so many models.")
    def train(split: Split | None, task: str | None, jobs: int, limit: int | None, *, new: bool) -> None:
        """Make the models that are missing, at low priority; may be ended and begun again at any time."""
        os.nice(NICE)
        store, zoo = lines.store(), lines.zoo()
        todo = to_make(store, of_task(zoo.recipes(split), task), zoo.index, limit=limit, new=new)
        lines.prepare(store, todo)
        train_missing(store, todo, zoo.index, zoo.recipes(None), lines.make, jobs=jobs)

    return train


def _status(lines: Lines) -> click.Command:
    @click.command()
    def status() -> None:
        """Say how many models of each kind are made and count, here or in the index."""
        store, zoo = lines.store(), lines.zoo()
        known = {entry.key: entry for entry in read_index(zoo.index, store.kind)}
        for said in status_lines(zoo.recipes(None), lambda recipe: store.entry(recipe) or known.get(recipe.key)):
            click.echo(said)

    return status


def _scan(lines: Lines) -> click.Command:
    @click.command()
    @click.option("--split", type=click.Choice(lines.splits), required=True)
    @_TASK
    @click.option(
        "--policy",
        type=click.Path(path_type=Path),
        default=lines.policy,
        show_default=f"the packaged {lines.policy.name}",
        help="What is measured, and how it is judged.",
    )
    @click.option("--threads", type=click.IntRange(1), default=lines.threads, show_default=True, help="Of each worker.")
    @click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Scans at the same time.")
    @click.option("--budget", type=click.FloatRange(1), default=lines.budget, show_default=True, help="Seconds a scan.")
    @click.option("--new", is_flag=True, help="Only models without a committed summary, as on another machine.")
    @click.option("--limit", type=click.IntRange(0), help="At most so many models.")
    def scan(
        split: Split, task: str | None, policy: Path, *, threads: int, jobs: int, budget: float, limit: int | None,
        new: bool,
    ) -> None:  # fmt: skip
        """Pull and scan the models that lack an outcome, as the gate does; may be ended and begun again at any time."""
        bench, zoo = bench_on(lines.store(), policy, budget=budget, threads=threads, alone=jobs == 1), lines.zoo()
        models = models_among(bench.store.entry, of_task(zoo.recipes(split), task))
        choice = Choice(detectors=frozenset(bench.policy.detectors), new=new, limit=limit)
        known = [entry.name for entry in read_index(zoo.index, bench.store.kind)]
        click.echo(f"{split}: {len(models.counting)} count here, {len(models.left_out)} are left out or not made")
        scan_and_collect(bench, models.counting, choice, path_of(split, zoo.evidence), indexed=known, jobs=jobs)

    return scan


def of_task(recipes: Sequence[Recipe], task: str | None) -> Sequence[Recipe]:
    """Return the recipes of a task, or all where none is given; a split is shuffled, so that its tasks are mixed."""
    if task is None:
        return recipes
    tasks = sorted({recipe.row.task for recipe in recipes})
    if task not in tasks:
        raise click.BadParameter(f"{task} is none of {', '.join(tasks)}", param_hint="--task")
    return [recipe for recipe in recipes if recipe.row.task == task]
