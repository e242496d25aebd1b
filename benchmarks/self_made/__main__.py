"""The command `python -m benchmarks.self_made`: make, compare and table; each ends and goes on by the same command."""

import os
import sys
import time
from pathlib import Path

import click

from benchmarks.efficacy import summaries
from benchmarks.efficacy.options import CACHE, EVIDENCE, POLICY, bench_of
from benchmarks.self_made.choosing import CHOSEN, pairs_of, source_of
from benchmarks.self_made.comparing import ROWS, Compared, compare_pair, read_rows, write_rows
from benchmarks.self_made.elsewhere import judged_beside, line
from benchmarks.self_made.making import COUNT, bank_of, make_banks
from benchmarks.self_made.table import table
from benchmarks.zoo.recipe import Split
from gate.cli.progress import progress_bars
from gate.cli.terminal import tell
from gate.jail.interruption import explained, stop_on_termination
from gate.jail.launch import protect_parent
from gate.records.errors import GateError

SPLIT = click.option(
    "--split", type=click.Choice(list(CHOSEN)), default="fit", show_default=True, help="`unseen` is reported, once."
)
RESULTS = click.option("--rows", "path", type=click.Path(path_type=Path), default=ROWS, help="The rows' file.")


@click.group()
def self_made() -> None:
    """How often banks of copies flag clean models of the zoo, and what they find."""


@self_made.command(name="make")
@SPLIT
@POLICY
@CACHE
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Copies at the same time.")
@click.option("--count", type=click.IntRange(1), default=COUNT, show_default=True, help="Copies a bank.")
@click.option("--nice", type=click.IntRange(0, 19), default=10, show_default=True, help="Precedence of other programs.")
def make_command(split: Split, policy: Path, cache: Path | None, jobs: int, count: int, nice: int) -> None:
    """Make the banks that are missing: hours, in the jail; exit 1 where too few copies are good enough for one."""
    bench = bench_of(policy, cache)
    for pair in pairs_of(split):
        click.echo(f"{pair.name}: copies of {source_of(pair, bench.store).name}")
    protect_parent()
    os.nice(nice)
    short = 0
    advice = "Run the same command again: it goes on there."
    with progress_bars() as progress, explained("interrupted; finished copies are kept", advice):
        for made in make_banks(bench, split, jobs, count, progress, tell):
            short += made.bank is None
            said = made.trouble if made.bank is None else f"{len(made.bank.statistics)} copies in the bank"
            _say(f"{made.pair.name}: {said}{_left(made.remaining_seconds)}")
    if short:
        raise SystemExit(1)


@self_made.command(name="compare")
@SPLIT
@POLICY
@CACHE
@EVIDENCE
@RESULTS
@click.option("--again", is_flag=True, help="Compare anew, also where nothing has changed.")
def compare_command(split: Split, policy: Path, cache: Path | None, evidence: Path, path: Path, *, again: bool) -> None:
    """Rank the models beside the banks; exit 1 where a bank, or the scan of a model, is missing."""
    bench = bench_of(policy, cache)
    measured = {one.name: one for one in summaries.read(summaries.path_of(split, evidence))}
    earlier = {row.name: row for row in read_rows(path) if row.split == split}
    banks = {pair: bank_of(pair, bench) for pair in pairs_of(split)}
    rows: dict[str, Compared] = {}
    missing, began = sum(bank is None for bank in banks.values()), time.monotonic()
    for done, (pair, bank) in enumerate(banks.items(), start=1):
        if bank is None:
            _say(f"{pair.name}: no bank of today's program, data and options; run: make --split {split}")
            continue
        for step in compare_pair(pair, bank, bench, {} if again else earlier, measured):
            if step.row is None:
                missing += 1
                _say(f"{step.entry.name}: {step.why}")
                continue
            rows[step.entry.name] = step.row
            if step.new:
                write_rows(split, [*(earlier | rows).values()], path)
                _say(_line(step.row))
        _say(f"{pair.name} done{_left((time.monotonic() - began) / done * (len(banks) - done))}")
    if missing:
        raise SystemExit(1)  # earlier rows stay: a cache without banks or scans says nothing about them
    write_rows(split, [*rows.values()], path)


@self_made.command(name="table")
@SPLIT
@RESULTS
@POLICY
@CACHE
@EVIDENCE
@click.option("--bank", "banks", type=click.Path(path_type=Path), multiple=True, help="The same models beside it, too.")
def table_command(
    split: Split, path: Path, policy: Path, cache: Path | None, evidence: Path, banks: tuple[Path, ...]
) -> None:
    """Print the counts of a split's rows in Markdown."""
    rows = [row for row in read_rows(path) if row.split == split]
    click.echo(table(rows))
    if banks:
        others = judged_beside(split, {row.name for row in rows}, banks, bench_of(policy, cache), evidence)
        click.echo(f"The same beside {', '.join(map(str, banks))}: {line(others)}.")


def _line(row: Compared) -> str:
    p = "no p" if row.p_value is None else f"p {row.p_value:.3f} over {row.copies} copies and {row.others} others"
    unlike = f"; unlike the copies in {', '.join(row.unlike)}" if row.unlike else ""
    judged = "not believed" if row.unbelieved else "flags" if row.by_p else "does not flag"
    return f"{row.name} {row.attack}: {p}, {judged}{unlike}; verdict: {'flagged' if row.flagged else 'approved'}"


def _left(seconds: float | None) -> str:
    return f"; about {max(1, round(seconds / 60))} min left" if seconds else ""


def _say(line: str) -> None:
    click.echo(line)
    sys.stdout.flush()


if __name__ == "__main__":
    stop_on_termination()
    try:
        self_made()
    except GateError as error:
        click.echo(f"{error}\n{error.what_to_do}".strip(), err=True)
        sys.exit(3)
