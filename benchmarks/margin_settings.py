"""What maximum margins and last-layer indicators are worth on the zoo's fit split, by attack and statistic.

    python -m benchmarks.margin_settings [--starts 6] [--steps 24] [--seed 0] [--models 1000] [--screening]

Measures every fit model that is made, keeps what it measured in `benchmarks/results/margins.jsonl` (a row that is there
for the same model and settings is not measured again), and prints the area under the ROC curve against the clean fit
models. A model's statistic is its worst class. `in-model` statistics need nothing else; `against clean` ones compare a
class with the same class of the other clean fit models of the task, and stand for what a reference bank would do.
"""

import argparse
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.fit_models import auc, fit_entries, subject_of
from benchmarks.zoo.store import Entry, Store
from gate.detectors import head_indicators, maximum_margin
from gate.records.errors import UnexaminableError
from gate.records.evidence import Measurement
from gate.records.run import Run
from gate.spaces.subject import Subject

ROWS = Path(__file__).with_name("results") / "margins.jsonl"
Row = dict[str, Any]
Statistic = Callable[[Row], list[float]]


def measured(entry: Entry, store: Store, settings: Row) -> Row:
    """Run both detectors on one model and return their numbers by class, with their cost in processor seconds."""
    torch.set_num_threads(1)
    subject, run = subject_of(entry, store), Run(seed=settings["seed"])
    options = maximum_margin.MaximumMargin(starts=settings["starts"], steps=settings["steps"])
    row: Row = {"model": entry.name, "key": entry.key, **settings}
    recipe = entry.recipe.row
    row |= {"task": recipe.task, "architecture": recipe.architecture, "attack": recipe.attack}
    row["targets"] = sorted(entry.facts.get("targets", []))
    for name, measure in (
        ("margin", lambda: maximum_margin.measure(subject, options, run)),
        ("head", lambda: head_indicators.measure(subject, head_indicators.HeadIndicators(), run)),
    ):
        row |= {f"{name}-{key}": value for key, value in _numbers(measure, subject).items()}
    return row


def _numbers(measure: Callable[[], Iterator[Any]], subject: Subject) -> Row:
    """Return the measurements by metric, a list by class or one number, and what they cost; or why there are none."""
    assert subject.classifier is not None
    started, before = time.process_time(), subject.classifier.sample_passes
    found: dict[str, Any] = defaultdict(list)
    try:
        for item in measure():
            if isinstance(item, Measurement) and item.location is not None and item.location.class_index is not None:
                found[item.metric].append(_short(item.value))
            elif isinstance(item, Measurement):
                found[item.metric] = _short(item.value)
    except UnexaminableError as error:
        return {"skipped": str(error)}
    seconds, passes = time.process_time() - started, subject.classifier.sample_passes - before
    return {**found, "seconds": round(seconds, 3), "passes": passes}


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def rows_of(settings: Row, most: int) -> list[Row]:
    """Return a row for each fit model, from the file or measured now and added to it."""
    store = Store.at()
    known = [json.loads(line) for line in ROWS.read_text().splitlines()] if ROWS.is_file() else []
    # Rows with a weight were measured by a statistic that is gone.
    known = [row for row in known if not row.get("weight")]
    same = {row["key"]: row for row in known if {name: row[name] for name in settings} == settings}
    rows = []
    for entry in list(fit_entries(store))[:most]:
        if entry.key not in same:
            same[entry.key] = measured(entry, store, settings)
            with ROWS.open("a") as file:
                file.write(f"{json.dumps(same[entry.key], sort_keys=True)}\n")
        rows.append(same[entry.key])
    return rows


def against_clean(of_class: Statistic, clean: list[Row]) -> Statistic:
    """Return a statistic less the largest that the class has in the other clean models of the task."""

    def compared(row: Row) -> list[float]:
        others = [of_class(one) for one in clean if one["task"] == row["task"] and one["model"] != row["model"]]
        if not others or not of_class(row):
            return []
        return [value - max(beside) for value, *beside in zip(of_class(row), *others, strict=True)]

    return compared


def statistics_of(clean: list[Row]) -> dict[str, Statistic]:
    """Return the statistics by name, each a list of values by class, empty where it was not measured."""
    in_model: dict[str, Statistic] = {
        "margin-ratio": lambda row: row.get("margin-margin-ratio", []),
        "relative-margin": lambda row: row.get("margin-relative-margin", []),
        "anomaly-index": lambda row: row.get("margin-anomaly-index", []),
        "mean-margin, index": lambda row: _index(row.get("margin-mean-margin", [])),
        "log margin, index": lambda row: _index(_logs(row.get("margin-margin", []))),
        "indicator": lambda row: row.get("head-indicator", []),
        "nearest-lead, index": lambda row: _index(row.get("head-nearest-lead", [])),
        "mean-lead, index": lambda row: _index(row.get("head-mean-lead", [])),
        "probe-share": lambda row: [row["head-probe-share"]] if "head-probe-share" in row else [],
        "both, smaller": _both,
    }
    compared = ("margin-ratio", "relative-margin", "anomaly-index", "indicator")
    return {f"in-model: {name}": of for name, of in in_model.items()} | {
        f"against clean: {name}": against_clean(in_model[name], [row for row in clean if in_model[name](row)])
        for name in compared
    }


def _both(row: Row) -> list[float]:
    """Return by class the smaller of the margin's index and the head's indicator; both are robust deviations."""
    return [min(pair) for pair in zip(row.get("margin-anomaly-index", []), row.get("head-indicator", []), strict=False)]


def _index(values: list[float]) -> list[float]:
    from gate.statistics.outliers import high_side_anomaly_indices

    return high_side_anomaly_indices(values, values) if values else []


def _logs(values: list[float]) -> list[float]:
    from math import log

    least = 1e-3 * max([abs(value) for value in values], default=1.0)
    return [log(max(value, least) / least) for value in values]


def table(rows: list[Row]) -> None:
    """Print areas under the curve by attack, how often the worst class is a target, and the clean models' quantile."""
    clean = [row for row in rows if row["attack"] == "clean"]
    attacks = sorted({row["attack"] for row in rows} - {"clean"})
    counts = {attack: sum(row["attack"] == attack for row in rows) for attack in attacks}
    print(f"{len(clean)} clean and {len(rows) - len(clean)} backdoored models: {counts}")
    print(f"{'statistic':34}{'AUC':>6}{'hit':>6}{'clean 95 %':>11}{'above':>7}  by attack")
    for name, of in statistics_of(clean).items():
        worst = {row["model"]: max(of(row)) for row in rows if of(row)}
        null = sorted(worst[row["model"]] for row in clean if row["model"] in worst)
        caught = [row for row in rows if row["attack"] != "clean" and row["model"] in worst]
        limit = null[min(len(null) - 1, int(0.95 * len(null)))]
        named = [row for row in caught if 0 < len(row["targets"]) < len(of(row))]
        hits = [of(row).index(max(of(row))) in row["targets"] for row in named if len(of(row)) > 1]
        by_attack = " ".join(
            f"{attack} {auc([worst[row['model']] for row in caught if row['attack'] == attack], null):.2f}"
            for attack in attacks
        )
        every = auc([worst[row["model"]] for row in caught], null)
        above = statistics.fmean(worst[row["model"]] > limit for row in caught)
        hit = statistics.fmean(hits) if hits else float("nan")
        print(f"{name:34}{every:>6.2f}{hit:>6.2f}{limit:>11.2f}{above:>7.2f}  {by_attack}")
    _costs(rows)


def _costs(rows: list[Row]) -> None:
    for detector in ("margin", "head"):
        seconds = [row[f"{detector}-seconds"] for row in rows if f"{detector}-seconds" in row]
        passes = [row[f"{detector}-passes"] for row in rows if f"{detector}-passes" in row]
        print(
            f"{detector}: {len(seconds)} models; processor seconds median {statistics.median(seconds):.3g}, "
            f"largest {max(seconds):.3g}; sample-passes median {statistics.median(passes):.0f}"
        )


def screening(rows: list[Row], settings: Row, most: int) -> None:
    """Print where the short climb, which chooses among many classes, ranks the class with the largest margin."""
    options = maximum_margin.MaximumMargin()
    short = rows_of({**settings, "starts": options.screen_starts, "steps": options.screen_steps}, most)
    places = []
    for row, beside in zip(rows, short, strict=True):
        best = row["margin-margin"].index(max(row["margin-margin"]))
        margins = beside["margin-margin"]
        places.append(sum(margin > margins[best] for margin in margins) / len(margins))
    for share in (0.1, 0.25, 0.5):
        within = statistics.fmean(place < share for place in places)
        print(
            f"the class with the largest margin is in the first {share:.0%} of the short climb: {within:.2f} of models"
        )


def main() -> None:
    """Measure what is missing and print the table."""
    parser = argparse.ArgumentParser(description="Maximum margins and last-layer indicators on the fit split.")
    parser.add_argument("--starts", type=int, default=6)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--models", type=int, default=1000, help="the first so many fit models alone")
    parser.add_argument("--screening", action="store_true", help="also say what the short climb of many classes keeps")
    arguments = parser.parse_args()
    most = arguments.models
    settings = {name: getattr(arguments, name) for name in ("starts", "steps", "seed")}
    print(f"settings {settings}")
    rows = rows_of(settings, most)
    table(rows)
    if arguments.screening:
        screening(rows, settings, most)


if __name__ == "__main__":
    main()
