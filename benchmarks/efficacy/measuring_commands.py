"""The commands that measure: run, packaged, peers, check, cost."""

import importlib
import sys
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks.efficacy import checking, cost, peering, summaries
from benchmarks.efficacy.options import CACHE, EVIDENCE, ONLY, POLICY, SEED, SPLIT, bench_of
from benchmarks.efficacy.page import PAGE, between
from benchmarks.efficacy.running import Choice, Step, add, collect, run, todo
from benchmarks.efficacy.scanning import Bench, through_the_gate
from benchmarks.efficacy.subjects import Subject, label_of, models_of, packaged_models, reported_models
from benchmarks.zoo.recipe import Split
from benchmarks.zoo.store import Store, write_whole
from gate.judging.judge import judge
from gate.records.errors import UsageError
from gate.records.evidence import Failed
from gate.records.policy import Policy

if TYPE_CHECKING:
    from benchmarks.efficacy.peer import Peer

BUDGET = click.option("--budget", type=click.FloatRange(1), default=3600.0, show_default=True, help="Seconds a scan.")


@click.command(name="run")
@SPLIT
@POLICY
@CACHE
@EVIDENCE
@ONLY
@BUDGET
@click.option("--attack", multiple=True, help="Only models of this attack, or `clean`; may be repeated.")
@click.option("--model", multiple=True, metavar="NAME", help="Only this model, such as fit-004; may be repeated.")
@click.option("--again", multiple=True, metavar="ID", help="Set this detector's outcomes aside first.")
@click.option("--new", is_flag=True, help="Only models without a committed summary, as on another machine.")
@click.option("--limit", type=click.IntRange(0), help="At most so many models.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Scans at the same time.")
def run_command(split: Split, policy: Path, cache: Path | None, evidence: Path, **options: Any) -> None:
    """Scan what is missing and write the summaries; may be ended and begun again at any time."""
    bench = bench_of(policy, cache, budget=options["budget"], alone=options["jobs"] == 1)
    models, known = models_of(bench.store, split), reported_models(bench.store, split)
    choice = Choice(
        detectors=_known(options["only"], bench.policy.detectors) or frozenset(bench.policy.detectors),
        attacks=frozenset(options["attack"]),
        names=frozenset(options["model"]),
        new=options["new"],
        limit=options["limit"],
    )
    if again := _known(options["again"], bench.policy.detectors):
        digests = [bench.conditions(entry).manifest_digest for entry in choice.of(models.counting)]
        gone = sum(bench.cache.set_aside(digest, again) for digest in digests)
        click.echo(f"{gone} outcomes of {', '.join(sorted(again))} were set aside")
    click.echo(f"{split}: {len(models.counting)} models count, {len(models.left_out)} are left out")
    path, names = summaries.path_of(split, evidence), [entry.name for entry in known.counting]
    scan_and_collect(bench, models.counting, choice, path, indexed=names, jobs=options["jobs"])


def scan_and_collect(
    bench: Bench,
    subjects: Sequence[Subject],
    choice: Choice,
    path: Path,
    *,
    indexed: Collection[str] = (),
    jobs: int = 1,
) -> None:
    """Scan what is missing, say each scan, and keep the summaries up to date.

    Summaries of models that the index knows by these names and this cache does not hold stay.
    """
    found = collect(bench, subjects, path, indexed)
    if choice.new:
        choice = replace(choice, without=frozenset(name for name, one in found.items() if not one.missing))
    waiting = len(todo(bench, subjects, choice))
    click.echo(f"{waiting} to scan for {', '.join(sorted(choice.detectors))}")
    for step in run(bench, subjects, choice, through_the_gate(bench), jobs=jobs):
        click.echo(told(step))
        sys.stdout.flush()
        add(bench, step.entry, path, found)
    click.echo(f"{path.name} is up to date")


def _known(named: tuple[str, ...], known: Any) -> frozenset[str]:
    if strange := sorted(set(named) - set(known)):
        raise UsageError(f"there is no {strange[0]!r} here; expected one of {', '.join(known)}")
    return frozenset(named)


def told(step: Step) -> str:
    """Return one line about a scan that is done, with the time that the others will take."""
    outcomes = step.record.evidence.outcomes
    failed = [name for name, outcome in outcomes.items() if isinstance(outcome, Failed)]
    left = "" if step.remaining_seconds is None else f"; about {step.remaining_seconds / 60:.0f} min left"
    trouble = f" FAILED: {', '.join(failed)}" if failed else ""
    done = f"{len(outcomes)} outcomes in {step.record.wall_seconds:.0f} s"
    return f"{step.number}/{step.of} {label_of(step.entry)}: {done}{trouble}{left}"


@click.command(name="packaged")
@POLICY
@CACHE
@EVIDENCE
@ONLY
@BUDGET
@click.option("--model", multiple=True, metavar="NAME", help="Only this model, such as mobilenet-v2-patch; repeatable.")
@click.option("--judge-only", is_flag=True, help="Scan nothing: judge what is committed.")
def packaged_command(policy: Path, cache: Path | None, evidence: Path, **options: Any) -> None:
    """Scan the real models from packages and say what the policy makes of them; goes on where it was ended.

    Each takes half an hour or more of a core: --budget is a scan's deadline, and --only measures detector by detector.
    """
    bench = bench_of(policy, cache, budget=options["budget"])
    path = summaries.path_of("packaged", evidence)
    if not options["judge_only"]:
        models = packaged_models(bench.store)
        if strange := set(options["model"]) - {model.name for model in models}:
            raise UsageError(f"there is no packaged model {min(strange)!r}; there are {[one.name for one in models]}")
        chosen = _known(options["only"], bench.policy.detectors) or frozenset(bench.policy.detectors)
        choice = Choice(detectors=chosen, names=frozenset(options["model"]))
        scan_and_collect(bench, models, choice, path)
    for summary in summaries.read(path):
        click.echo(said_of(summary, bench.policy))


def said_of(summary: summaries.Summary, policy: Policy) -> str:
    """Return a packaged model's verdict in a few lines, beside what was planted in it."""
    verdict = judge(summaries.evidence_of(summary), policy, on=summaries.ANY_DAY)
    spent = sum(outcome.seconds for outcome in summary.outcomes.values())
    missing = f"; not measured yet: {', '.join(summary.missing)}" if summary.missing else ""
    lines = [f"{summary.name}: {verdict.decision.value} after {spent:.0f} s{missing}"]
    return "\n".join([*lines, *(f"  {finding.rule}: {finding.message[:200]}" for finding in verdict.open_findings)])


@click.command()
@SPLIT
@CACHE
@EVIDENCE
@SEED
@click.option("--peers", "names", help="Ids, separated by commas; default all.")
@click.option("--again", is_flag=True, help="Ask anew, also where there is an answer.")
@click.option("--subset", type=click.IntRange(1), help="Only so many models an attack, and clean ones a task, drawn.")
@click.option("--limit", type=click.IntRange(0), help="The first so many models of the drawn order.")
def peers(split: Split, cache: Path | None, evidence: Path, seed: int, **options: Any) -> None:
    """Ask published detectors about the same models; may be ended and begun again at any time."""
    import torch

    # By name: the peers bring packages of their own, without which everything else here still works.
    published: dict[str, Peer] = importlib.import_module("benchmarks.efficacy.peers").PEERS
    torch.set_num_threads(1)
    store = Store.at(cache)
    counting = models_of(store, split).counting
    here = {entry.files.exported for entry in counting}
    elsewhere = {entry.files.exported for entry in reported_models(store, split).counting} - here
    order = peering.in_strata(counting, seed)
    chosen = (peering.of_each(order, options["subset"]) if options["subset"] else order)[: options["limit"]]
    asked = _known(tuple(options["names"].split(",")) if options["names"] else (), published) or frozenset(published)
    path = peering.path_of(split, evidence)
    wanted = [published[name] for name in published if name in asked]
    for peer in wanted:
        if options["again"]:
            for entry in chosen:
                peering.PeerCache.of(store).forget(peer, entry, seed)
        for number, row in enumerate(peering.run(store, peer, chosen, seed), start=1):
            said = row.error or f"decision {row.decision}, targets {row.targets}, score {row.score}"
            click.echo(f"{peer.id} {number} {row.name}: {said} in {row.seconds:.0f} s")
            sys.stdout.flush()
            peering.collect(store, wanted, counting, seed, path, elsewhere)
    rows = peering.collect(store, wanted, counting, seed, path, elsewhere)
    click.echo(f"{len(rows)} answers in {path.name}")


@click.command()
@SPLIT
@POLICY
@CACHE
@EVIDENCE
@SEED
@BUDGET
@click.option("--share", type=click.FloatRange(0, 1), default=0.05, show_default=True, help="Share of the models.")
def check(split: Split, policy: Path, cache: Path | None, evidence: Path, **options: Any) -> None:
    """Measure a random few models again and compare with what is committed; exit 1 when one comes out different."""
    bench = bench_of(policy, cache, budget=options["budget"])
    entries = {entry.name: entry for entry in models_of(bench.store, split).counting}
    committed = [one for one in summaries.read(summaries.path_of(split, evidence)) if one.name in entries]
    drawn = checking.chosen(committed, options["share"], options["seed"])
    pairs = [(entries[summary.name], summary) for summary in drawn]
    different = 0
    for found in checking.check(bench, pairs, through_the_gate(bench)):
        different += found.outcome == "different"
        click.echo(
            f"{found.outcome:10} {found.entry.name} largest difference {found.largest_difference:.2g} {found.why}"
        )
        sys.stdout.flush()
    if different:
        raise SystemExit(1)


@click.command(name="cost")
@POLICY
@SEED
@click.option("--classes", default="10,20,43,100,1000", show_default=True, help="Numbers of classes, at width 1.")
@click.option("--widths", default="0.5,1,2,4", show_default=True, help="Widths of the body, at ten classes.")
@click.option("--plot-only", is_flag=True, help="Draw what is committed.")
def cost_command(policy: Path, seed: int, classes: str, widths: str, *, plot_only: bool) -> None:
    """Measure what a scan costs by number of classes and by size, and draw it; goes on where it was ended."""
    rules, known = bench_of(policy, None).policy, cost.read()
    sizes = [cost.Size(int(k), 1.0) for k in classes.split(",")] + [cost.Size(10, float(w)) for w in widths.split(",")]
    for found in [] if plot_only else cost.measure(rules, list(dict.fromkeys(sizes)), known, seed=seed):
        known.append(found)
        cost.write(known)
        click.echo(
            f"{found.detector} {found.classes} classes, {found.parameters} parameters, {found.macs} multiply-adds: "
            f"{found.sample_passes} sample-passes, {found.seconds:.0f} s"
        )
        sys.stdout.flush()
    write_whole(PAGE.with_name("efficacy-cost-classes.svg"), cost.by_classes(known).encode())
    write_whole(PAGE.with_name("efficacy-cost-size.svg"), cost.by_size(known).encode())
    between(PAGE, "efficacy-cost", cost.table(known))
