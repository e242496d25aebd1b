"""Options that several commands of the harness share, and the bench that they describe."""

from pathlib import Path

import click

from benchmarks.efficacy import summaries
from benchmarks.efficacy.kept import Cache
from benchmarks.efficacy.scanning import Bench
from benchmarks.zoo.__main__ import SPLITS
from benchmarks.zoo.store import Store
from gate.policies.packaged import DEFAULT
from gate.policies.read import read_policy
from gate.records.clock import today

SPLIT = click.option("--split", type=SPLITS, default="fit", show_default=True, help="Which models.")
POLICY = click.option(
    "--policy",
    type=click.Path(path_type=Path),
    default=DEFAULT,
    show_default="the packaged default.yml",
    help="What is measured, and how it is judged.",
)
CACHE = click.option(
    "--cache", type=click.Path(path_type=Path), help="Folder of models and scans; default ~/.cache/gate-zoo."
)
EVIDENCE = click.option(
    "--evidence", type=click.Path(path_type=Path), default=summaries.FOLDER, help="Folder of the summaries."
)
ONLY = click.option("--only", multiple=True, metavar="ID", help="Only this detector; may be repeated.")
SEED = click.option("--seed", type=int, default=0, show_default=True, help="Decides what is drawn.")


def bench_of(policy: Path, cache: Path | None, *, budget: float = 1.0, alone: bool = True) -> Bench:
    """Return the bench of a policy file and a cache folder."""
    return bench_on(Store.at(cache), policy, budget=budget, alone=alone)


def bench_on(store: Store, policy: Path, *, budget: float = 1.0, threads: int = 1, alone: bool = True) -> Bench:
    """Return the bench of a policy file over a store."""
    return Bench(store, Cache.of(store), read_policy(policy, on=today()), budget, threads, alone)
