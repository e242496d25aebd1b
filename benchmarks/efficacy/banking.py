"""Banks out of a split's summaries, and models of other splits compared with them: no model is scanned again.

Between summaries and tables. A bank holds the clean models of one task; the command writes it as `gate bank build`
would have, so that `gate check --bank` takes it too (without reference programs, which summaries do not hold).
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks.efficacy import summaries
from benchmarks.efficacy.options import CACHE, EVIDENCE, POLICY, SPLIT, bench_of
from benchmarks.efficacy.scanning import Bench
from benchmarks.efficacy.subjects import reported_models
from benchmarks.zoo.recipe import CLEAN, Split
from benchmarks.zoo.store import Entry
from gate.banks.assemble import Member, assemble, refusal
from gate.judging.calibration.alike import same_task
from gate.judging.calibration.calibrate import compare
from gate.judging.calibration.pooling import PooledScores, packaged
from gate.policies.declared import compared_statistics, option_digests
from gate.records.bank import Bank, OpenBank, open_bank, write_bank
from gate.records.bank_evidence import BankEvidence
from gate.records.errors import UsageError
from gate.records.evidence import Evidence
from gate.records.policy import Policy

Pair = tuple[Entry, summaries.Summary]


def bank_keys(pairs: Iterable[Pair], policy: Policy, name: str, provenance: str) -> dict[str, Any]:
    """Return the keys of a bank of those of the models that are clean and were measured whole."""
    members = []
    for entry, summary in pairs:
        row, wanted = entry.recipe.row, set(policy.detectors)
        if row.attack == CLEAN and wanted <= set(summary.outcomes):
            evidence = summaries.evidence_of(summary)
            # What an earlier policy measured besides is nothing that this one's candidates have.
            kept = {name: outcome for name, outcome in evidence.outcomes.items() if name in wanted}
            evidence = evidence.model_copy(update={"outcomes": kept})
            if not refusal(evidence):
                members.append(Member(entry.name, f"{entry.shelf}:{entry.name}", evidence))
    if not members:
        raise UsageError(
            f"no clean model for the bank {name!r} has every outcome yet", what_to_do="Run the split's scans first."
        )
    return assemble(members, policy, name=name, provenance=provenance)


def beside(evidence: Evidence, banks: Sequence[OpenBank], policy: Policy) -> Evidence:
    """Return the evidence as it would be had the bank of its task stood beside the scan; unchanged without one."""
    settings = option_digests(policy)
    for opened in banks:
        # An adapter outside its bank's group is compared too: what comes of it says that it is not examined.
        if (same := same_task(evidence, opened.bank)) or opened.bank.adapters is not None:
            comparison = compare(evidence, opened.bank, settings, compared_statistics(), known=other_tasks(opened.bank))
            seen = BankEvidence(
                digest=f"sha256:{opened.sha256}",
                count=len(opened.bank.statistics),
                same_task=same,
                comparison=comparison,
                name=opened.bank.name,
                source=Path(opened.source).name,
                by_option=True,
            )
            return evidence.model_copy(update={"bank": seen})
    return evidence


def other_tasks(bank: Bank) -> PooledScores | None:
    """Return the scores that come with the gate without those of the bank's own task, which would count twice."""
    known, task = packaged(), task_of(bank)
    if known is None:
        return None
    return known.model_copy(update={"scores": {name: own for name, own in known.scores.items() if name != task}})


def task_of(bank: Bank) -> str:
    """Return the zoo's task that a bank is of, by the name that the zoo's banks have."""
    return bank.name.removeprefix("zoo ")


def summary_text(bank: Bank) -> str:
    """Return a bank's size and statistics in a line."""
    named = ", ".join(f"{statistic.detector} {statistic.metric}" for statistic in bank.compared)
    return f"{bank.name}: {len(bank.statistics)} models, {bank.classes} classes; {named}"


def opened(paths: Iterable[Path]) -> list[OpenBank]:
    """Open the banks that a command names."""
    return [open_bank(path) for path in paths]


def pairs_of(entries: Mapping[str, Entry], path: Path) -> list[Pair]:
    """Return the models of a split that have a summary, each with it."""
    return [(entries[one.name], one) for one in summaries.read(path) if one.name in entries]


def pairs_in(bench: Bench, split: Split, folder: Path) -> list[Pair]:
    """Return the models of a split that count and have a summary, each with it."""
    entries = {entry.name: entry for entry in reported_models(bench.store, split).counting}
    return pairs_of(entries, summaries.path_of(split, folder))


@click.command(name="bank")
@SPLIT
@POLICY
@CACHE
@EVIDENCE
@click.option("--task", required=True, help="Whose clean models, such as digits.")
@click.option("--to", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The bank's JSON file.")
def bank_command(split: Split, policy: Path, cache: Path | None, evidence: Path, task: str, to: Path) -> None:
    """Write a reference bank of a split's clean models of one task from their summaries."""
    bench = bench_of(policy, cache)
    pairs = [pair for pair in pairs_in(bench, split, evidence) if pair[0].recipe.row.task == task]
    told = f"clean models of the zoo's {split} split, task {task}"
    keys = bank_keys(pairs, bench.policy, f"{Entry.shelf} {task}", told)
    click.echo(summary_text(write_bank(to, **keys)))
