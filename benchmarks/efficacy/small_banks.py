"""Banks too small for ranks: how often the t rule flags clean models beside three to twelve others, and what it finds.

Between summaries and a table; no model is scanned again. Banks are drawn from a split's clean models of one task, many
times; all other models of the task are compared with each. The floor under the spread that the gate ships was chosen
with such tables in view, so the table also chooses it for each task on the other tasks alone.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np

from benchmarks.efficacy import summaries
from benchmarks.efficacy.banking import pairs_in
from benchmarks.efficacy.options import CACHE, EVIDENCE, POLICY, bench_of
from benchmarks.efficacy.rates import upper_bound
from benchmarks.efficacy.small_rules import CLIPPED, UNCLIPPED, Array, Rule, predictive, sizes, tables_of
from benchmarks.zoo.__main__ import SPLITS
from benchmarks.zoo.recipe import CLEAN, Split
from benchmarks.zoo.store import Entry
from gate.banks.assemble import refusal
from gate.judging.calibration import few
from gate.judging.calibration.calibrate import traits_beside
from gate.judging.calibration.tables import Values, traits_of, values_of
from gate.policies.declared import compared_statistics
from gate.policies.read import read_policy
from gate.records.clock import today
from gate.records.evidence import Evidence

FLOORS = (1e-3, 0.1, 0.2, 0.3, 0.4)
SIZES = (3, 5, 8, 12)
LEVEL = 0.05
IN_THE_GRAPH = frozenset({"payload", "architectural"})
"""Attacks that `graph-structure` judges, whatever a bank says, and that sizes of triggers do not show."""
CHOSEN = "sizes, floor chosen on the other tasks"


@dataclass(frozen=True)
class Model:
    """One measured model."""

    name: str
    task: str
    attack: str
    values: Values
    traits: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Flags:
    """How often a rule flagged, over all drawn banks of a size and a task."""

    clean: dict[str, list[bool]] = field(default_factory=dict)
    """By model, beside each bank that it was not in."""
    backdoored: dict[str, list[bool]] = field(default_factory=dict)
    """Those with a trigger; attacks in the graph are left out."""

    def rate(self) -> float:
        """Return the share of clean models flagged, every model counting once."""
        return _mean(self.clean)

    def found(self) -> float:
        """Return the share of backdoored models flagged."""
        return _mean(self.backdoored)


def _mean(flags: Mapping[str, Sequence[bool]]) -> float:
    return float(np.mean([np.mean(found) for found in flags.values()])) if flags else math.nan


Measured = dict[tuple[str, int, str], Flags]
"""By rule, models of a bank, and task."""


def rules() -> dict[str, Rule]:
    """Return the rules that are compared, by name."""
    floors = {floor_name(floor): sizes(floor) for floor in FLOORS}
    return {"every statistic, clipped": CLIPPED, "every statistic": UNCLIPPED, **floors}


def floor_name(floor: float) -> str:
    """Return the name of the rule over sizes with a floor under the spread."""
    return f"sizes, spread at least {floor:g}"


def measure(models: Sequence[Model], draws: int, seed: int) -> Measured:
    """Return what each rule flags beside seeded draws of clean models; a task with too few has no larger banks."""
    found: Measured = {}
    for task in dict.fromkeys(model.task for model in models):
        members = [model for model in models if model.task == task]
        tables = tables_of([model.values for model in members], compared_statistics())
        clean = [row for row, model in enumerate(members) if model.attack == CLEAN]
        for count in SIZES:
            rng = random.Random(f"small banks {seed} {task} {count}")
            banks = [rng.sample(clean, count) for _ in range(draws if count < len(clean) else 0)]
            for name, rule in rules().items():
                flags = found.setdefault((name, count, task), Flags())
                for bank in banks:
                    _note(flags, members, bank, predictive(tables, bank, rule))
    return found


def _note(flags: Flags, members: Sequence[Model], bank: Sequence[int], p: Array) -> None:
    for row, model in enumerate(members):
        if row not in bank and model.attack not in IN_THE_GRAPH:
            kind = flags.clean if model.attack == CLEAN else flags.backdoored
            kind.setdefault(model.name, []).append(bool(p[row] <= LEVEL))


def with_chosen(found: Measured) -> Measured:
    """Return the same with a rule whose floor is, for each task, the least that holds the level on every other task."""
    tasks = sorted({task for _, _, task in found})
    chosen: Measured = {}
    for count in SIZES:
        for task in tasks:
            holding = [
                floor
                for floor in FLOORS
                if all(found[floor_name(floor), count, other].rate() <= LEVEL for other in tasks if other != task)
            ]
            floor = min(holding, default=max(FLOORS))
            chosen[CHOSEN, count, task] = found[floor_name(floor), count, task]
    return found | chosen


def report(found: Measured) -> str:
    """Return a table in Markdown: false alarms and detections by rule and size, for each task and over all models."""
    tasks = list(dict.fromkeys(task for _, _, task in found))
    head = ["rule", "bank of", *(f"{task}: clean, backdoored" for task in tasks)]
    lines = [[*head, "all: clean flagged (rate at most)", "backdoored"], ["---"] * (len(head) + 2)]
    for name in dict.fromkeys(name for name, _, _ in found):
        for count in SIZES:
            parts = [found[name, count, task] for task in tasks]
            each = [f"{part.rate():.0%}, {part.found():.0%}" if part.clean else "–" for part in parts]
            lines.append([name, str(count), *each, *_pooled(parts)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _pooled(parts: Sequence[Flags]) -> tuple[str, str]:
    """Return both rates over all models; the bound counts models and not draws, which share them."""
    clean = [float(np.mean(flags)) for part in parts for flags in part.clean.values()]
    backdoored = [float(np.mean(flags)) for part in parts for flags in part.backdoored.values()]
    if not clean:
        return "–", "–"
    hits = math.ceil(sum(clean) - 1e-9)
    bound = upper_bound(hits, len(clean))
    return f"{np.mean(clean):.1%} of {len(clean)} ({bound:.1%})", f"{np.mean(backdoored):.0%} of {len(backdoored)}"


def unlike(models: Sequence[Model], draws: int, seed: int, margin: float) -> dict[int, float]:
    """Return the share of clean models that a bank of so many would refuse as unlike its own, by their traits."""
    found: dict[int, list[bool]] = {}
    rng = random.Random(f"traits {seed}")
    for task in dict.fromkeys(model.task for model in models):
        clean = [model for model in models if model.task == task and model.attack == CLEAN]
        for count in SIZES:
            for _ in range(draws if count < len(clean) else 0):
                bank = rng.sample(clean, count)
                outside = [_outside(model, bank, margin) for model in clean if model not in bank]
                found.setdefault(count, []).extend(outside)
    return {count: float(np.mean(outside)) for count, outside in sorted(found.items())}


def _outside(model: Model, bank: Sequence[Model], margin: float) -> bool:
    return any(not trait.within(margin) for trait in traits_beside([one.traits for one in bank], model.traits))


def models_in(split: Split, policy: Path, cache: Path | None, evidence: Path) -> list[Model]:
    """Return the models of a split that were measured whole."""
    return [
        _model(entry, whole)
        for entry, summary in pairs_in(bench_of(policy, cache), split, evidence)
        if not summary.missing and not refusal(whole := summaries.evidence_of(summary))
    ]


def _model(entry: Entry, seen: Evidence) -> Model:
    traits = traits_of(seen.outcomes, seen.samples.accuracy if seen.samples else None)
    values = values_of(seen.outcomes, compared_statistics())
    return Model(entry.name, entry.recipe.row.task, entry.recipe.row.attack, values, traits)


@click.command(name="small-banks")
@click.option("--split", "splits", type=SPLITS, multiple=True, default=("fit", "calibrate"), show_default=True)
@POLICY
@CACHE
@EVIDENCE
@click.option("--draws", type=int, default=25, show_default=True, help="Banks of each size and task.")
@click.option("--seed", type=int, default=0, show_default=True, help="Decides which banks are drawn.")
def small_banks(
    splits: tuple[Split, ...], policy: Path, cache: Path | None, evidence: Path, draws: int, seed: int
) -> None:
    """Compare models with small banks of their task's clean models, by the t rule that the gate ships and others."""
    models = [model for split in splits for model in models_in(split, policy, cache, evidence)]
    clean = sum(model.attack == CLEAN for model in models)
    click.echo(f"{clean} clean and {len(models) - clean} backdoored models of {', '.join(splits)}; {draws} draws each.")
    click.echo(f"The gate ships: {floor_name(few.LEAST_SPREAD)}.\n")
    click.echo(report(with_chosen(measure(models, draws, seed))))
    margin = read_policy(policy, on=today()).exchange_margin
    shares = ", ".join(f"{count}: {share:.0%}" for count, share in unlike(models, draws, seed, margin).items())
    click.echo(f"\nClean models that a bank refuses as unlike its own, by its size: {shares}.")
