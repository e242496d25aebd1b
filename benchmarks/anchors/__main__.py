"""The command `python -m benchmarks.anchors [--split test] [--write | --check]`: figures beside published ones.

Reads kept rows alone, and scans nothing. Judging a split takes minutes: only figures whose rows, banks or policy have
changed are made anew (`--anew`: all, after a change of the code that judges or counts). Without `--split` it tells of
the split that the page tells of.
"""

import sys
from collections.abc import Sequence

import click

from benchmarks.anchors import gathering, kept, published, table
from benchmarks.anchors.gathering import Group
from benchmarks.anchors.kept import Inputs
from benchmarks.efficacy.page import between, written
from benchmarks.zoo.recipe import Split
from gate.records.errors import GateError


@click.command()
@click.option("--split", type=click.Choice(table.REPORTED), help="Of the small zoo; default: the page's own.")
@click.option("--write", is_flag=True, help="Make what is out of date, keep it, and write docs/results/anchors.md.")
@click.option("--anew", is_flag=True, help="With --write: make all figures.")
@click.option("--check", is_flag=True, help="Write nothing; exit 1 where page or figures are not of the kept rows.")
def anchors(split: Split | None, *, write: bool, anew: bool, check: bool) -> None:
    """Put today's figures of the gate beside published ones, from kept rows with their days."""
    if (write and check) or (anew and not write):
        raise click.UsageError("--write and --check exclude each other, and --anew needs --write")
    page = written(table.PAGE, table.MARK)
    chosen = split or table.told_split(page) or table.REPORTED[0]
    wanted, known = gathering.groups(chosen), kept.read()
    old = [(one, one.inputs()) for one in wanted] if anew else list(gathering.stale(wanted, known))
    if write:
        _make(old, wanted)
    elif old:
        _out_of_date(f"the rows of {', '.join(key for group, _ in old for key in group.keys)} changed")
    told = table.text(chosen, table.beside(published.read(), kept.read()))
    if write:
        between(table.PAGE, table.MARK, told)
    elif check and told != page:
        _out_of_date("it is not what the kept figures say")
    if not check:
        click.echo(told)


def _make(old: Sequence[tuple[Group, Inputs]], wanted: Sequence[Group]) -> None:
    """Make figures and keep each group as soon as it is made, so that a run that ends loses no other's."""
    names = {key for group in wanted for key in group.keys}
    for group, inputs in old:
        click.echo(f"making {', '.join(group.keys)}", err=True)
        kept.write({key: one for key, one in (kept.read() | gathering.made(group, inputs)).items() if key in names})


def _out_of_date(why: str) -> None:
    raise SystemExit(f"{table.PAGE.name} is out of date: {why}; run python -m benchmarks.anchors --write")


if __name__ == "__main__":
    try:
        anchors()
    except GateError as error:
        click.echo(f"{error}\n{error.what_to_do}".strip(), err=True)
        sys.exit(3)
