"""Where clean and planted models of the zoo lie: the ranges that reports show beside a number.

    python -m benchmarks.typical [--split unseen] [--check]

Reads the committed measurements of a split (`benchmarks/efficacy/evidence`) and what was planted
(`benchmarks/zoo/index.jsonl`), scans nothing, and writes `gate/renderers/typical.json`. Of a model the most conspicuous
place counts, as the report's tables show it; of a detector that looks at suspects each suspect, in planted models those
that were planted. A search for one family of triggers is set beside models with that family; all others beside all.

Of the split *unseen*, on which nothing was chosen.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.efficacy import summaries
from benchmarks.efficacy.truth import Truth, truth_of
from benchmarks.zoo.store import Entry, read_index, write_whole
from gate import detectors
from gate.judging.judge import judge
from gate.policies.declared import before_loading, rules_sha256
from gate.policies.packaged import DEFAULT
from gate.policies.read import read_policy
from gate.records.clock import today
from gate.records.evidence import Evidence, Measured, Measurement
from gate.records.policy import Policy
from gate.renderers.typical import DATA, FalseAlarms, Lies, Typical

QUANTILES = (0.05, 0.95)
DIGITS = 3
LEAST_VALUES = 5
"""Fewer have no range worth the name."""

OWN_SCALES = ("pixels", "scores")
"""Units that depend on the size of the image or on the model's own scores: of another model they say nothing."""

_KINDS = ("patch", "all-to-all", "source-specific", "label-consistent")
_PATCHES = ("badnets", "multi-target", *_KINDS[1:], *(f"{kind}-off-grid" for kind in _KINDS))
_GRAPHS = ("payload", "architectural")
AIMED: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "neural-cleanse": ("planted patches", _PATCHES),
    "additive-trigger": ("planted blends", ("blended", "sig", "adaptive-blend", "blend-off-grid", "sig-off-grid")),
    "warp-trigger": ("planted warps", ("wanet", "warp-off-grid")),
    "graph-structure": ("planted branches", _GRAPHS),
}
"""What a detector looks for, and the zoo's attacks that are of this kind."""
ALL_PLANTED = "planted"


@dataclass(frozen=True)
class Subject:
    """One measured model and what was planted in it."""

    attack: str
    truth: Truth
    evidence: Evidence


def subjects(split: str, folder: Path = summaries.FOLDER) -> list[Subject]:
    """Return the models of a split that count and were measured; of few classes none, whose numbers lie elsewhere."""
    entries: dict[str, Entry] = {entry.name: entry for entry in read_index() if entry.counts}
    found = [one for one in summaries.read(summaries.path_of(split, folder)) if one.name in entries]
    models = [
        Subject(entries[one.name].recipe.row.attack, truth_of(entries[one.name]), summaries.evidence_of(one))
        for one in found
    ]
    return [model for model in models if not model.evidence.facts.few_classes]


def typical_of(split: str, models: Sequence[Subject], policy: Policy) -> Typical:
    """Return the ranges of every metric that detectors of behaviour measured."""
    clean = [model for model in models if not model.truth.backdoored]
    planted = [model for model in models if model.truth.backdoored]
    alarms = sum(_beyond_a_limit(m, policy) for m in clean)
    seeds, classes = {m.evidence.seed for m in models}, {m.evidence.facts.classes for m in models}
    (seed,) = seeds
    names = [name for name in policy.detectors if name not in before_loading()]
    found = {name: _of_detector(name, clean, planted, policy) for name in names}
    return Typical(
        made_by="python -m benchmarks.typical",
        split=split,
        seed=seed,
        clean_models=len(clean),
        planted_models=len(planted),
        classes=tuple(sorted(number for number in classes if number is not None)),
        quantiles=QUANTILES,
        options={name: _options(name, models) for name, metrics in found.items() if metrics},
        metrics={name: metrics for name, metrics in found.items() if metrics},
        false_alarms=FalseAlarms(rules=rules_sha256(policy), flagged=alarms, models=len(clean)),
    )


def _beyond_a_limit(model: Subject, policy: Policy) -> bool:
    """Tell whether a limit flags a model; a detector that is younger than its evidence has none and flags nobody."""
    by_limits = policy.model_copy(update={"within": "show"})
    verdict = judge(model.evidence, by_limits, on=summaries.ANY_DAY)
    return any(finding.kind == "limit" for finding in verdict.open_findings)


def _options(name: str, models: Sequence[Subject]) -> dict[str, Any]:
    """Return the options with which a detector measured every model; others would not go into one range."""
    told = [dict(outcome.options) for _, outcome in _measured(name, models)]
    if any(options != told[0] for options in told):
        raise SystemExit(f"{name} was measured with several sets of options; expected one")
    return told[0]


def _of_detector(name: str, clean: Sequence[Subject], planted: Sequence[Subject], policy: Policy) -> dict[str, Lies]:
    kind, attacks = AIMED.get(name, (ALL_PLANTED, ()))
    aimed = [model for model in planted if not attacks or model.attack in attacks]
    each = any(name in stage.detectors and stage.over == "suspects" for stage in policy.plan())
    ours, theirs = _values(name, clean, each=each), _values(name, aimed, each=each)
    return {
        metric: Lies(
            clean=_range(values),
            clean_count=len(values),
            planted=_range(theirs[metric]) if len(theirs[metric]) >= LEAST_VALUES else None,
            planted_count=len(theirs[metric]),
            planted_kind=kind,
        )
        for metric, values in sorted(ours.items())
        if len(values) >= LEAST_VALUES
    }


def _values(name: str, models: Sequence[Subject], *, each: bool) -> defaultdict[str, list[float]]:
    found: defaultdict[str, list[float]] = defaultdict(list)
    for model, outcome in _measured(name, models):
        for metric, rows in _by_metric(outcome.measurements).items():
            found[metric] += _of_model(name, metric, rows, model.truth, each=each)
    return found


def _of_model(name: str, metric: str, rows: Sequence[Measurement], truth: Truth, *, each: bool) -> Iterator[float]:
    """Yield the worst value of a model; of suspects, and where neither side is worse, those at what was planted."""
    declared = detectors.load(name).metric(metric)
    if declared is None or declared.unit in OWN_SCALES:
        return
    if any(row.location is not None and row.location.kind == "neuron" for row in rows):
        return
    if not each and declared.worse != "neither":
        worst = max if declared.worse == "higher" else min
        yield worst(row.value for row in rows)
        return
    for row in rows:
        if not truth.backdoored or row.location is None or truth.names(row.location):
            yield row.value


def _measured(name: str, models: Iterable[Subject]) -> Iterator[tuple[Subject, Measured]]:
    for model in models:
        outcome = model.evidence.outcomes.get(name)
        if isinstance(outcome, Measured):
            yield model, outcome


def _by_metric(rows: Iterable[Measurement]) -> dict[str, list[Measurement]]:
    found: dict[str, list[Measurement]] = {}
    for row in rows:
        found.setdefault(row.metric, []).append(row)
    return found


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = (float(f"{value:.{DIGITS}g}") for value in np.quantile(values, QUANTILES))
    return low, high


def main() -> None:
    """Write the data, or say whether what is packaged is what would be written."""
    parser = argparse.ArgumentParser(description="Ranges of the zoo's clean and planted models, for reports.")
    parser.add_argument("--split", default="unseen", choices=("fit", "calibrate", "test", "unseen"))
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the packaged data differ")
    arguments = parser.parse_args()
    made = typical_of(arguments.split, subjects(arguments.split), read_policy(DEFAULT, on=today()))
    if arguments.check:
        raise SystemExit(0 if DATA.is_file() and Typical.from_file(DATA) == made else f"{DATA.name} is out of date")
    write_whole(DATA, made.pretty_json().encode())
    alarms = made.false_alarms
    print(f"{made.clean_models} clean and {made.planted_models} planted models of {made.split} to {DATA.name}; "
          f"the default policy flags {alarms.flagged} of {alarms.models} clean ones")  # fmt: skip


if __name__ == "__main__":
    main()
