"""The command `python -m benchmarks.scan_cost`: count what is missing, keep it, and print or write the tables."""

import tempfile
from pathlib import Path

import click
import torch

from benchmarks.efficacy.options import CACHE, POLICY
from benchmarks.efficacy.page import between
from benchmarks.scan_cost import table
from benchmarks.scan_cost.cases import CASES
from benchmarks.scan_cost.counting import costs_of
from benchmarks.zoo.store import Store
from gate.policies.read import read_policy
from gate.records.clock import today
from gate.records.policy import Policy


@click.command()
@click.option("--cases", default=",".join(CASES), show_default=True, help="Names, separated by commas.")
@click.option("--to", type=click.Path(path_type=Path), default=table.FILE, help="File of the counted cases.")
@click.option("--write", is_flag=True, help="Write the tables into docs/results/cost.md as well.")
@POLICY
@CACHE
def scan_cost(cases: str, to: Path, *, write: bool, policy: Path, cache: Path | None) -> None:
    """Count a scan's operations by detector, in passes forward and back to the input of the model that is scanned.

    Keeps a line a case. A case that this policy and these sources have counted is not counted again.
    """
    wanted = cases.split(",")
    if unknown := set(wanted) - set(CASES):
        raise click.BadParameter(f"no case {min(unknown)!r}; expected of {', '.join(CASES)}")
    torch.set_num_threads(1)
    rows, judged_by = table.read(to), read_policy(policy, on=today())
    for name in wanted:
        if name not in rows or not rows[name].by(judged_by):
            rows[name] = _counted(name, judged_by, Store.at(cache))
            rows = {case: rows[case] for case in CASES if case in rows}
            table.write(rows.values(), to)
        click.echo(f"{table.details(rows[name])}\n")
    click.echo(table.summary(list(rows.values())))
    if write:
        between(table.PAGE, table.MARK, table.text(list(rows.values())))


def _counted(name: str, policy: Policy, store: Store) -> table.Row:
    origin = table.origin(policy)
    with tempfile.TemporaryDirectory(prefix="scan-cost-") as folder:
        made = CASES[name](store, Path(folder))
        costs = costs_of(made.job(policy))
    return table.Row.model_validate({"case": name, "what": made.what, "costs": costs, **origin})


if __name__ == "__main__":
    scan_cost()
