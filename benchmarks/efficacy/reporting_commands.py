"""The commands that only read: status and collect, and what the summaries of a split say, in five ways."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, update_wrapper
from pathlib import Path
from typing import Any

import click

from benchmarks.efficacy import asked, detectors_table, page, peering, reached, summaries, tables
from benchmarks.efficacy.banking import Pair, opened, pairs_in, pairs_of, task_of
from benchmarks.efficacy.judged import GATE, GATE_BESIDE, Judged, judged_by_policy
from benchmarks.efficacy.keys import reduced
from benchmarks.efficacy.options import CACHE, EVIDENCE, ONLY, POLICY, SEED, SPLIT, bench_of
from benchmarks.efficacy.results import SystemResult, result_of
from benchmarks.efficacy.running import collect
from benchmarks.efficacy.scanning import Bench, state_of
from benchmarks.efficacy.subjects import NOT_SCANNED, LeftOut, Models, models_of, reported_models
from benchmarks.zoo.recipe import Split
from gate.records.bank import OpenBank
from gate.records.evidence import Failed
from gate.records.policy import Policy

WITHOUT = click.option("--without", multiple=True, metavar="ID", help="Judge as if the policy had not this detector.")
BANKS = click.option(
    "--bank", "banks", type=click.Path(path_type=Path), multiple=True, help="Judge beside this bank, too."
)
WRITE = click.option("--write", is_flag=True, help="Write into docs/results/efficacy.md, between its markers.")


@click.command()
@SPLIT
@POLICY
@CACHE
def status(split: Split, policy: Path, cache: Path | None) -> None:
    """Say which detectors have been measured on how many models, and which by another version of their file."""
    bench = bench_of(policy, cache)
    models = models_of(bench.store, split)
    states = [state_of(bench, entry) for entry in models.counting]
    for name in bench.policy.detectors:
        known = [state for state in states if name in state.found.known]
        stale = sum(name in state.stale() for state in known)
        failed = sum(isinstance(state.found.known[name], Failed) for state in known)
        older = f"; {stale} by another version of its file (--again {name})" if stale else ""
        broken = f"; {failed} failed" if failed else ""
        click.echo(f"{name:22} {len(known):3} of {len(states)}{broken}{older}")
    for left in models.left_out:
        click.echo(f"left out: {left.name} {left.attack} {left.variant}: {left.reason}".replace(" :", ":"))


@click.command(name="collect")
@SPLIT
@POLICY
@CACHE
@EVIDENCE
def collect_command(split: Split, policy: Path, cache: Path | None, evidence: Path) -> None:
    """Write a split's summaries from what is kept in the cache, without a scan."""
    bench = bench_of(policy, cache)
    here = models_of(bench.store, split).counting
    indexed = [one.name for one in reported_models(bench.store, split).counting]
    found = collect(bench, here, summaries.path_of(split, evidence), indexed)
    click.echo(f"{len(found)} models, {sum(not one.missing for one in found.values())} of them with every outcome")


@dataclass(frozen=True)
class Judging:
    """A split's summaries under a policy, beside banks or none."""

    split: Split
    bench: Bench
    models: Models
    pairs: list[Pair]
    """Models that count and have a summary, with it."""
    policy: Policy
    banks: list[OpenBank]
    paths: tuple[Path, ...]
    """Of the banks."""
    evidence: Path
    without: tuple[str, ...]

    @cached_property
    def whole(self) -> list[Pair]:
        """Those with an outcome of every detector of the policy."""
        return [(entry, one) for entry, one in self.pairs if set(self.policy.detectors) <= set(one.outcomes)]

    def rows(self, pairs: list[Pair] | None = None) -> list[Judged]:
        """Return the gate's word on models, beside the banks where there are any."""
        return judged_by_policy(self.whole if pairs is None else pairs, self.policy, self.banks)

    def alone(self, pairs: list[Pair] | None = None) -> list[Judged]:
        """Return the gate's word on models without a bank."""
        return judged_by_policy(self.whole if pairs is None else pairs, self.policy)

    def left_out(self, rows: Iterable[Judged]) -> list[LeftOut]:
        """Return the models that no row is about, each with the reason."""
        return [*self.models.left_out, *_unfinished(self.models, {row.name for row in rows}, NOT_SCANNED)]

    @property
    def answers(self) -> asked.Answers:
        """The committed answers by peer, about models that count."""
        rows = peering.read(peering.path_of(self.split, self.evidence))
        peers = dict.fromkeys(row.peer for row in rows)
        return {peer: peering.judged((row for row in rows if row.peer == peer), self.models.counting) for peer in peers}


def _judging(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a `Judging`, and that in their place."""

    def judged(
        split: Split,
        policy: Path,
        cache: Path | None,
        evidence: Path,
        without: tuple[str, ...],
        banks: tuple[Path, ...],
        **options: Any,
    ) -> None:
        bench = bench_of(policy, cache)
        models = reported_models(bench.store, split)
        pairs = pairs_of({entry.name: entry for entry in models.counting}, summaries.path_of(split, evidence))
        used = _without(bench.policy, without)
        judging = Judging(split, bench, models, pairs, used, opened(banks), banks, evidence, without)
        command(judging, **options)

    judged = update_wrapper(judged, command)  # with the options that stand below it
    for option in (BANKS, WITHOUT, EVIDENCE, CACHE, POLICY, SPLIT):
        judged = option(judged)
    return judged


@click.command()
@_judging
@SEED
@click.option("--write", is_flag=True, help="Write JSON, picture and docs/results/efficacy.md.")
def table(judging: Judging, *, seed: int, write: bool) -> None:
    """Print flags, targets, areas and costs by attack, and clean models by task."""
    rows = judging.rows()
    left_out = judging.left_out(rows)
    results, wanted = [result_of(GATE_BESIDE if judging.banks else GATE, rows, left_out, seed=seed)], ""
    if judging.banks:
        alone = judging.alone()
        results.append(result_of(GATE, alone, left_out, seed=seed))
        fitted = judging.rows(pairs_in(judging.bench, "fit", judging.evidence))
        tasks = frozenset(task_of(one.bank) for one in judging.banks)
        wanted = reached.tables(judging.split, reached.Rows(rows, alone, fitted, tasks), left_out, seed=seed)
    results += _peers(judging.models, judging.answers, seed)
    paths = tuple(map(str, judging.paths))
    told = page.Told(judging.split, results, left_out, judging.policy, seed, paths, wanted)
    if write:
        page.write(told)
    click.echo(page.text(told))


@click.command(name="by-detector")
@_judging
@ONLY
@click.option("--within-task", is_flag=True, help="Compare models of the same task only.")
def by_detector(judging: Judging, *, only: tuple[str, ...], within_task: bool) -> None:
    """Print each detector's own metrics by attack, before any limit."""
    measured = [(entry, summaries.evidence_of(summary)) for entry, summary in judging.pairs]
    lines = detectors_table.lines(measured, within_task=within_task)
    click.echo(detectors_table.text([line for line in lines if line.detector in (only or line.detector)]))


@click.command(name="by-model")
@_judging
def by_model(judging: Judging) -> None:
    """Print one line a model under the policy."""
    click.echo("\n".join(_line(row) for row in judging.rows()))


@click.command()
@_judging
@WRITE
def each(judging: Judging, *, write: bool) -> None:
    """Print a table of all models, one row each."""
    rows, entries = judging.rows(), {entry.name: entry for entry in judging.models.counting}
    named = [bank.bank.name for bank in judging.banks]
    judged = [(entries[row.name], row) for row in rows]
    text = page.each_text(judging.split, judging.policy, judged, judging.left_out(rows), named, judging.without)
    if write:
        page.between(page.PAGE, f"efficacy-{judging.split}", text)
    click.echo(text)


@click.command(name="asked")
@_judging
@SEED
@WRITE
def asked_command(judging: Judging, *, seed: int, write: bool) -> None:
    """Print a table a peer, with the gate on the models that it was asked about."""
    answers = judging.answers
    known = {row.name for rows in answers.values() for row in rows}
    pairs = [pair for pair in judging.whole if pair[0].name in known]
    beside, alone = (judging.rows(pairs) if judging.banks else ()), judging.alone(pairs)
    command = f"python -m benchmarks.efficacy asked --write --split {judging.split}"
    command += "".join(f" --bank {bank}" for bank in judging.paths)
    text = asked.text(command, answers, beside, alone, seed)
    if write:
        page.between(page.PAGE, f"efficacy-{judging.split}-peers", text)
    click.echo(text)


def _without(policy: Policy, left_out: tuple[str, ...]) -> Policy:
    """Return the policy less some detectors, as when one was added that has not measured these models yet."""
    if not left_out:
        return policy
    return reduced(policy, set(policy.detectors) - set(left_out), deadline=policy.deadline)


def _peers(models: Models, answers: asked.Answers, seed: int) -> list[SystemResult]:
    """Return what the answers of the peers amount to."""
    results = []
    for peer, rows in answers.items():
        left_out = [*models.left_out, *_unfinished(models, {row.name for row in rows}, "not asked")]
        result = result_of(f"{peer} (peer)", rows, left_out, seed=seed)
        part = "" if len(rows) == len(models.counting) else f"on {len(rows)} of {len(models.counting)} models"
        results.append(result.model_copy(update={"subset": part}))
    return results


def _unfinished(models: Models, done: Iterable[str], reason: str) -> list[LeftOut]:
    names = set(done)
    rows = [entry.recipe.row for entry in models.counting if entry.name not in names]
    return [LeftOut(row.name, row.task, row.attack, row.variant, reason) for row in rows]


def _line(row: Judged) -> str:
    right = "all right" if row.all_right else "right among others" if row.any_right else ""
    named = f"names {', '.join(row.targets)}" if row.targets else ""
    said = "flagged" if row.flagged else "approved"
    score = 0.0 if row.score is None else row.score
    return tables.aligned(
        (row.name, 9), (row.task, 9), (row.architecture, 9), (f"{row.attack} {row.variant}".strip(), 26),
        (said, 8), (f"{score:+.2f}", 5), (f"{row.seconds:.0f} s", 6), (f"{named} {right}".strip(), 0), (row.note, 0),
    )  # fmt: skip
