"""Banks of another task: how often their p-value flags clean models, and what it finds.

Between summaries and a table; no model is scanned again. Each model of the splits is compared with each bank of another
task that the gate would compare it with at all, which is one of as many classes, by ratios within each model.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks.efficacy import summaries
from benchmarks.efficacy.banking import Pair, opened, pairs_in
from benchmarks.efficacy.options import CACHE, EVIDENCE, POLICY, bench_of
from benchmarks.efficacy.ranking import area
from benchmarks.efficacy.small_banks import IN_THE_GRAPH
from benchmarks.efficacy.tables import exact_share, markdown, number, share
from benchmarks.zoo.__main__ import SPLITS
from benchmarks.zoo.recipe import CLEAN, Split
from gate.judging.calibration.calibrate import compare
from gate.policies.declared import compared_statistics, option_digests
from gate.records.bank import OpenBank
from gate.records.policy import Policy


@dataclass(frozen=True)
class Compared:
    """One model beside one bank of another task."""

    model: str
    task: str
    backdoored: bool
    bank: str
    score: float
    p_value: float
    alike: bool
    """Whether accuracy and norms lie in the bank's range as the policy widens it; else p would not be believed."""


def compared(pairs: Iterable[Pair], banks: Sequence[OpenBank], policy: Policy) -> list[Compared]:
    """Compare models with every bank that is not of their task; attacks in the graph are judged otherwise."""
    found, settings = [], option_digests(policy)
    for entry, summary in pairs:
        row, evidence = entry.recipe.row, summaries.evidence_of(summary)
        for bank in banks if row.attack not in IN_THE_GRAPH else ():
            seen = compare(evidence, bank.bank, settings, compared_statistics())
            if seen is not None and seen.kind == "scale-free" and not seen.unusable:
                alike = all(trait.within(policy.exchange_margin) for trait in seen.traits)
                backdoored = row.attack != CLEAN
                found.append(
                    Compared(entry.name, row.task, backdoored, bank.bank.name, seen.score, seen.p_value, alike)
                )
    return found


def report(rows: Sequence[Compared], level: float) -> str:
    """Return a table in Markdown: by bank and task of the models, and over all, each model beside each bank."""
    lines = []
    for bank, task in sorted({(row.bank, row.task) for row in rows}):
        clean, backdoored = _parted([row for row in rows if (row.bank, row.task) == (bank, task)])
        curve = area([row.score for row in backdoored], [row.score for row in clean])
        flagged = [exact_share(_flagged(part, level), len(part)) for part in (clean, backdoored)]
        believed = [share(_flagged(part, level), len(part)) for part in map(_alike, (clean, backdoored))]
        lines.append([bank, task, *flagged, number(curve), *believed])
    every, alike = (
        [share(_flagged(part, level), len(part)) for part in _parted(kept)] for kept in (rows, _alike(rows))
    )
    head = ["bank", "models of", "clean flagged", "backdoored flagged", "area under the ROC curve"]
    head += ["clean, of those like the bank's", "backdoored, of those"]
    return markdown(head, [*lines, ["all", "all", *every, number(None), *alike]])


def _parted(rows: Sequence[Compared]) -> tuple[list[Compared], list[Compared]]:
    return [row for row in rows if not row.backdoored], [row for row in rows if row.backdoored]


def _alike(rows: Sequence[Compared]) -> list[Compared]:
    return [row for row in rows if row.alike]


def _flagged(rows: Sequence[Compared], level: float) -> int:
    return sum(row.p_value <= level for row in rows)


@click.command(name="other-task")
@click.option("--split", "splits", type=SPLITS, multiple=True, default=("fit", "calibrate"), show_default=True)
@POLICY
@CACHE
@EVIDENCE
@click.option("--bank", "paths", type=click.Path(path_type=Path), multiple=True, required=True, help="A bank's file.")
def other_task(
    splits: tuple[Split, ...], policy: Path, cache: Path | None, evidence: Path, paths: tuple[Path, ...]
) -> None:
    """Compare models with banks of other tasks, as `other-task: judge` in a policy would."""
    bench = bench_of(policy, cache)
    pairs = [pair for split in splits for pair in pairs_in(bench, split, evidence)]
    click.echo(report(compared(pairs, opened(paths), bench.policy), bench.policy.level))
