"""The command `python -m benchmarks.efficacy`: run, status, collect, table.

The top of the harness's flow; prints, and turns errors into an exit code.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from benchmarks.efficacy import detectors_table, summaries
from benchmarks.efficacy.kept import Cache
from benchmarks.efficacy.running import Choice, Step, collect, run, todo
from benchmarks.efficacy.scanning import Bench, state_of, through_the_gate
from benchmarks.efficacy.subjects import models_of
from benchmarks.zoo.__main__ import SPLITS
from benchmarks.zoo.recipe import Split
from benchmarks.zoo.store import Store
from gate.errors import GateError
from gate.evidence import Failed
from gate.pipeline import today
from gate.policy_file import read_policy

POLICY = Path(__file__).resolve().parents[2] / "policies" / "default.yml"

split_option = click.option("--split", type=SPLITS, default="fit", show_default=True, help="Which models.")
policy_option = click.option(
    "--policy", type=click.Path(path_type=Path), default=POLICY, show_default="policies/default.yml", help="What to do."
)
cache_option = click.option(
    "--cache", type=click.Path(path_type=Path), help="Folder of models and scans; default ~/.cache/gate-zoo."
)
evidence_option = click.option(
    "--evidence", type=click.Path(path_type=Path), default=summaries.FOLDER, help="Folder of the summaries."
)
only_option = click.option("--only", multiple=True, metavar="ID", help="Only this detector; may be repeated.")


@click.group()
def efficacy() -> None:
    """Measure how well the gate tells backdoored models of the zoo from clean ones."""


@efficacy.command(name="run")
@split_option
@policy_option
@cache_option
@evidence_option
@only_option
@click.option("--attack", multiple=True, help="Only models of this attack, or `clean`; may be repeated.")
@click.option("--model", multiple=True, metavar="NAME", help="Only this model, such as fit-004; may be repeated.")
@click.option("--again", multiple=True, metavar="ID", help="Set this detector's outcomes aside first.")
@click.option("--limit", type=click.IntRange(0), help="At most so many models.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Scans at the same time.")
@click.option("--budget", type=click.FloatRange(1), default=900.0, show_default=True, help="Seconds for one scan.")
def run_command(split: Split, policy: Path, cache: Path | None, evidence: Path, **options: Any) -> None:
    """Scan what is missing and write the summaries; may be ended and begun again at any time."""
    bench = replace(_bench(policy, cache, options["budget"]), alone=options["jobs"] == 1)
    models = models_of(bench.store, split)
    choice = Choice(
        detectors=frozenset(options["only"] or bench.policy.detectors),
        attacks=frozenset(options["attack"]),
        names=frozenset(options["model"]),
        limit=options["limit"],
    )
    if options["again"]:
        gone = sum(
            bench.cache.set_aside(bench.conditions(entry).manifest_digest, frozenset(options["again"]))
            for entry in choice.of(models.counting)
        )
        click.echo(f"{gone} outcomes of {', '.join(options['again'])} were set aside")
    waiting = todo(bench, models.counting, choice)
    click.echo(f"{split}: {len(models.counting)} models count, {len(models.left_out)} are left out; ", nl=False)
    click.echo(f"{len(waiting)} to scan for {', '.join(sorted(choice.detectors))}")
    path = summaries.path_of(split, evidence)
    for step in run(bench, models.counting, choice, through_the_gate(bench), jobs=options["jobs"]):
        click.echo(_told(step))
        sys.stdout.flush()
        collect(bench, models.counting, path)
    collect(bench, models.counting, path)
    click.echo(f"{path} is up to date")


def _told(step: Step) -> str:
    row, outcomes = step.entry.recipe.row, step.record.evidence.outcomes
    failed = [name for name, outcome in outcomes.items() if isinstance(outcome, Failed)]
    left = "" if step.remaining_seconds is None else f"; about {step.remaining_seconds / 60:.0f} min left"
    trouble = f" FAILED: {', '.join(failed)}" if failed else ""
    what = f"{row.name} {row.task} {row.architecture} {row.attack} {row.variant}".strip()
    return (
        f"{step.number}/{step.of} {what}: {len(outcomes)} outcomes in {step.record.wall_seconds:.0f} s{trouble}{left}"
    )


@efficacy.command()
@split_option
@policy_option
@cache_option
def status(split: Split, policy: Path, cache: Path | None) -> None:
    """Say which detectors have been measured on how many models, and which by another version of their file."""
    bench = _bench(policy, cache, 1.0)
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
        click.echo(f"left out: {left.name} {left.attack} {left.variant}: {left.reason}")


@efficacy.command(name="collect")
@split_option
@policy_option
@cache_option
@evidence_option
def collect_command(split: Split, policy: Path, cache: Path | None, evidence: Path) -> None:
    """Write a split's summaries from what is kept in the cache, without a scan."""
    bench = _bench(policy, cache, 1.0)
    states = collect(bench, models_of(bench.store, split).counting, summaries.path_of(split, evidence))
    click.echo(f"{len(states)} models, {sum(not state.missing for state in states)} of them with every outcome")


@efficacy.command()
@split_option
@cache_option
@evidence_option
@click.option("--by-detector", is_flag=True, help="Each detector's own metrics by attack, before any limit.")
@click.option("--within-task", is_flag=True, help="With --by-detector: compare models of the same task only.")
@only_option
def table(split: Split, cache: Path | None, evidence: Path, **options: Any) -> None:
    """Print what the summaries of a split say."""
    entries = {entry.name: entry for entry in models_of(Store.at(cache), split).counting}
    found = [
        (entries[summary.name], summaries.evidence_of(summary))
        for summary in summaries.read(summaries.path_of(split, evidence))
        if summary.name in entries
    ]
    if options["by_detector"]:
        lines = detectors_table.lines(found, within_task=options["within_task"])
        chosen = [line for line in lines if not options["only"] or line.detector in options["only"]]
        click.echo(detectors_table.text(chosen))


def _bench(policy: Path, cache: Path | None, budget: float) -> Bench:
    store = Store.at(cache)
    return Bench(store, Cache.of(store), read_policy(policy, on=today()), budget)


if __name__ == "__main__":
    try:
        efficacy()
    except GateError as error:
        click.echo(f"{error}\n{error.what_to_do}".strip(), err=True)
        sys.exit(3)
