"""The commands that only read: status, collect, table."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from benchmarks.efficacy import asked, detectors_table, page, peering, reached, summaries, tables
from benchmarks.efficacy.banking import opened, pairs_in, pairs_of, task_of
from benchmarks.efficacy.judged import GATE, GATE_BESIDE, Judged, judged_by_policy
from benchmarks.efficacy.keys import reduced
from benchmarks.efficacy.options import CACHE, EVIDENCE, ONLY, POLICY, SEED, SPLIT, bench_of
from benchmarks.efficacy.results import SystemResult, result_of
from benchmarks.efficacy.running import collect
from benchmarks.efficacy.scanning import state_of
from benchmarks.efficacy.subjects import NOT_SCANNED, LeftOut, Models, models_of, reported_models
from benchmarks.zoo.recipe import Split
from gate.records.evidence import Failed
from gate.records.policy import Policy


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


@click.command()
@SPLIT
@POLICY
@CACHE
@EVIDENCE
@SEED
@ONLY
@click.option("--by-detector", is_flag=True, help="Each detector's own metrics by attack, before any limit.")
@click.option("--within-task", is_flag=True, help="With --by-detector: compare models of the same task only.")
@click.option("--by-model", is_flag=True, help="One line a model under the policy.")
@click.option(
    "--each", is_flag=True, help="A table of all models, one row each; --write puts it into docs/results/efficacy.md."
)
@click.option("--asked", is_flag=True, help="A table a peer, with the gate on the same models; --write as with --each.")
@click.option("--without", multiple=True, metavar="ID", help="Judge as if the policy had not this detector.")
@click.option("--bank", "banks", type=click.Path(path_type=Path), multiple=True, help="Judge beside this bank, too.")
@click.option("--write", is_flag=True, help="Write JSON, picture and docs/results/efficacy.md.")
def table(split: Split, policy: Path, cache: Path | None, evidence: Path, **options: Any) -> None:
    """Print what the summaries of a split say under a policy."""
    bench = bench_of(policy, cache)
    models = reported_models(bench.store, split)
    entries = {entry.name: entry for entry in models.counting}
    pairs = pairs_of(entries, summaries.path_of(split, evidence))
    if options["by_detector"]:
        measured = [(entry, summaries.evidence_of(summary)) for entry, summary in pairs]
        lines = detectors_table.lines(measured, within_task=options["within_task"])
        click.echo(
            detectors_table.text([line for line in lines if line.detector in (options["only"] or line.detector)])
        )
        return
    policy_used = _without(bench.policy, options["without"])
    answers = _answers(models, peering.path_of(split, evidence))
    if options["asked"]:
        known = {row.name for rows in answers.values() for row in rows}
        pairs = [pair for pair in pairs if pair[0].name in known]
    whole = [(entry, one) for entry, one in pairs if set(policy_used.detectors) <= set(one.outcomes)]
    banks = opened(options["banks"])
    rows = judged_by_policy(whole, policy_used, banks)
    if options["by_model"]:
        click.echo("\n".join(_line(row) for row in rows))
        return
    if options["each"]:
        named = [bank.bank.name for bank in banks]
        left_out = [*models.left_out, *_unfinished(models, {row.name for row in rows}, NOT_SCANNED)]
        text = page.each_text(
            split, policy_used, [(entries[row.name], row) for row in rows], left_out, named, options["without"]
        )
        if options["write"]:
            page.between(page.PAGE, f"efficacy-{split}", text)
        click.echo(text)
        return
    seed = options["seed"]
    if options["asked"]:
        beside, alone = (rows, judged_by_policy(whole, policy_used)) if banks else ((), rows)
        command = f"python -m benchmarks.efficacy table --asked --write --split {split}"
        command += "".join(f" --bank {bank}" for bank in options["banks"])
        text = asked.text(command, answers, beside, alone, seed)
        if options["write"]:
            page.between(page.PAGE, f"efficacy-{split}-peers", text)
        click.echo(text)
        return
    left_out = [
        *models.left_out,
        *_unfinished(models, {row.name for row in rows}, NOT_SCANNED),
    ]
    results, wanted = [result_of(GATE_BESIDE if banks else GATE, rows, left_out, seed=seed)], ""
    if banks:
        alone = judged_by_policy(whole, policy_used)
        results.append(result_of(GATE, alone, left_out, seed=seed))
        fitted = judged_by_policy(pairs_in(bench, "fit", evidence), policy_used, banks)
        tasks = frozenset(task_of(one.bank) for one in banks)
        wanted = reached.tables(split, reached.Rows(rows, alone, fitted, tasks), left_out, seed=seed)
    results += _peers(models, answers, seed)
    told = page.Told(split, results, left_out, policy_used, seed, tuple(map(str, options["banks"])), wanted)
    if options["write"]:
        page.write(told)
    click.echo(page.text(told))


def _without(policy: Policy, left_out: tuple[str, ...]) -> Policy:
    """Return the policy less some detectors, as when one was added that has not measured these models yet."""
    if not left_out:
        return policy
    return reduced(policy, set(policy.detectors) - set(left_out), deadline=policy.deadline)


def _answers(models: Models, path: Path) -> asked.Answers:
    """Return the committed answers by peer, about models that count."""
    rows = peering.read(path)
    peers = dict.fromkeys(row.peer for row in rows)
    return {peer: peering.judged((row for row in rows if row.peer == peer), models.counting) for peer in peers}


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
