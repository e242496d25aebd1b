"""The command `python -m benchmarks.probe_grid`: count, and table."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click
import torch

from benchmarks.efficacy.ranking import area_with_interval
from benchmarks.probe_grid.comparing import Compared, compared
from benchmarks.probe_grid.counting import Counted, count, counting_entries, kept
from benchmarks.zoo.recipe import CLEAN, Split
from benchmarks.zoo.store import Store

LEVEL = 0.05
CHOOSING = click.Choice(["fit", "calibrate"])
"""The splits on which settings may be looked at."""
cache = click.option("--cache", type=click.Path(path_type=Path), help="The zoo's folder; default ~/.cache/gate-zoo.")


@click.group()
def probe_grid() -> None:
    """The grid of probes alone on the zoo's models, beside banks of the calibrate split."""


@probe_grid.command(name="count")
@click.option("--split", "splits", type=CHOOSING, multiple=True, default=("fit", "calibrate"), show_default=True)
@cache
def count_command(splits: tuple[Split, ...], cache: Path | None) -> None:
    """Count the answers of the models that are made; may be ended and begun again at any time."""
    torch.set_num_threads(1)
    store = Store.at(cache)
    entries = counting_entries(store, splits)
    todo = [entry for entry in entries if kept(entry, store) is None]
    click.echo(f"{len(entries)} models, {len(todo)} to count")
    for number, (entry, passes) in enumerate(count(todo, store), start=1):
        click.echo(f"{number}/{len(todo)} {entry.name} {passes} forward passes")
        sys.stdout.flush()


@probe_grid.command()
@click.option("--by-model", is_flag=True, help="Each model with its most telling probe.")
@cache
def table(*, by_model: bool, cache: Path | None) -> None:
    """Compare the fit split with the banks of calibrate: area, flagged at 0.05, right class, by attack."""
    store = Store.at(cache)
    models = [
        Counted(entry, counts)
        for entry in counting_entries(store, ("fit", "calibrate"))
        if (counts := kept(entry, store)) is not None
    ]
    banks: dict[str, list[Counted]] = {}
    for model in models:
        if model.entry.recipe.row.split == "calibrate":
            banks.setdefault(model.entry.recipe.row.task, []).append(model)
    found = [
        compared(model, banks[model.entry.recipe.row.task])
        for model in models
        if model.entry.recipe.row.split == "fit" and len(banks.get(model.entry.recipe.row.task, ())) >= 1 / LEVEL - 1
    ]
    click.echo(", ".join(f"{len(bank)} {task}" for task, bank in banks.items()) + " in the banks")
    for line in lines(found):
        click.echo(line)
    for one in sorted(found, key=lambda one: (one.attack, -one.score)) if by_model else ():
        click.echo(
            f"{one.name} {one.task} {one.attack} score {one.score:.1f} p {one.p_value:.3f} {one.place}: {one.telling}"
        )


def lines(found: Sequence[Compared]) -> list[str]:
    """Return the table: an attack a line, and all of them together."""
    clean = [one for one in found if one.attack == CLEAN]
    attacks = sorted({one.attack for one in found} - {CLEAN})
    rows = [_line(attack, [one for one in found if one.attack == attack], clean) for attack in attacks]
    every = [one for one in found if one.attack != CLEAN]
    return [*rows, _line("all attacks", every, clean), f"clean: {_flagged(clean)} flagged"]


def _line(name: str, models: Sequence[Compared], clean: Sequence[Compared]) -> str:
    area = area_with_interval([one.score for one in models], [one.score for one in clean], seed=0)
    shown = f"{area.value:.2f} [{area.low:.2f}, {area.high:.2f}]" if area else "–"
    right = sum(bool(one.right) for one in models if one.p_value <= LEVEL)
    return f"| {name} | {_flagged(models)} | {right} | {shown} |"


def _flagged(models: Sequence[Compared]) -> str:
    return f"{sum(one.p_value <= LEVEL for one in models)} of {len(models)}"


if __name__ == "__main__":
    probe_grid()
