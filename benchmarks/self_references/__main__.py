"""The command `python -m benchmarks.self_references`: measure what is missing, or compare what is there.

    python -m benchmarks.self_references run [--models 10] [--count 3] [--minutes 40]
    python -m benchmarks.self_references table

Only models of the fit split are opened. A row that is there for the same model and training is not measured again.
"""

import time
from pathlib import Path

import click

from benchmarks.efficacy.options import CACHE, POLICY, bench_of
from benchmarks.efficacy.rates import upper_bound
from benchmarks.efficacy.subjects import models_of
from benchmarks.self_references.choice import chosen
from benchmarks.self_references.comparing import compared
from benchmarks.self_references.copies import Training
from benchmarks.self_references.measuring import Kept, measured, missing, of_training
from benchmarks.zoo.recipe import CLEAN
from benchmarks.zoo.store import Store

LEVEL = 0.05


@click.group()
def self_references() -> None:
    """Set models of the fit split beside copies of themselves that were trained on the clean samples."""


@self_references.command()
@POLICY
@CACHE
@click.option("--models", type=int, default=10, show_default=True, help="The most clean models, and backdoored ones.")
@click.option("--count", type=int, default=3, show_default=True, help="Copies of each.")
@click.option("--minutes", type=float, default=40.0, show_default=True, help="Processor time after which it stops.")
def run(policy: Path, cache: Path | None, models: int, count: int, minutes: float) -> None:
    """Measure the copies that have no row yet."""
    bench, training, kept = bench_of(policy, cache), Training(), Kept()
    entries = chosen(models_of(bench.store, "fit").counting, models)
    for entry, number in missing(entries, count, training, kept):
        if time.process_time() > 60 * minutes:
            break
        row = measured(entry, bench.store, number, training, bench.policy)
        kept.add(row)
        click.echo(f"{entry.name} {entry.recipe.row.attack} {number}: {row.get('why') or row['seconds']}")


@self_references.command()
@CACHE
def table(cache: Path | None) -> None:
    """Print each candidate beside its copies, and how many are flagged at 0.05."""
    entries = {entry.name: entry for entry in models_of(Store.at(cache), "fit").counting}
    found = [
        (entries[one.model], one) for one in compared(of_training(Kept().rows(), Training())) if one.model in entries
    ]
    for entry, one in found:
        row = entry.recipe.row
        targets = ", ".join(map(str, sorted(entry.facts.get("targets", [])))) or "–"
        click.echo(f"{one.model} {row.task} {row.architecture} {row.attack}, target {targets}: p = {one.p_value:.3g}")
        click.echo(
            f"  from {one.driver}; least agreement {one.agreement:.3f}; {one.seconds:.0f} s; {one.passes} passes"
        )
        for detector, ratios in one.ratios.items():
            click.echo(f"  {detector}: {' '.join(f'{ratio:.2f}' for ratio in ratios.values())}")
    for kind, members in (
        ("clean", [one for entry, one in found if entry.recipe.row.attack == CLEAN]),
        ("backdoored", [one for entry, one in found if entry.recipe.row.attack != CLEAN]),
    ):
        hits = sum(one.p_value <= LEVEL for one in members)
        click.echo(f"{kind}: {hits} of {len(members)} flagged; the rate is at most {bound(hits, len(members)):.0%}")


def bound(hits: int, count: int) -> float:
    """Return the exact one-sided bound, 1 where there is no model."""
    return upper_bound(hits, count) if count else 1.0


if __name__ == "__main__":
    self_references()
