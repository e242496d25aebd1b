"""The demo for ten seeds: on how many of twenty models is the gate right?

    python -m benchmarks.demo_seeds [--seeds 10] [--to DIR]

Everything as in `make demo`; a finished seed is kept in DIR/seeds.jsonl and not repeated. Prints one line per model
(sizes, largest anomaly index, smallest ratio, what confirmed) and the sum.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from demo.__main__ import Outcome, run
from demo.models import target_of
from demo.task import DigitTask
from gate.records.evidence import Evidence, Measured


def main() -> None:
    """Run what has not been run, and print everything."""
    parser = argparse.ArgumentParser(description="The demo for several seeds.")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--to", type=Path, default=Path("demo-seeds"))
    arguments = parser.parse_args()
    arguments.to.mkdir(parents=True, exist_ok=True)
    store = arguments.to / "seeds.jsonl"
    rows = [json.loads(line) for line in store.read_text().splitlines()] if store.exists() else []
    for seed in range(arguments.seeds):
        if any(row["seed"] == seed for row in rows):
            continue
        with tempfile.TemporaryDirectory() as folder:
            new = [_row(seed, outcome) for outcome in run(DigitTask(seed), Path(folder) / "demo")]
        rows += new
        with store.open("a") as stream:
            stream.writelines(json.dumps(row) + "\n" for row in new)
    _print(rows)


def _row(seed: int, outcome: Outcome) -> dict[str, Any]:
    """Return what one model showed."""
    report = outcome.report
    assert report.evidence is not None
    assert report.verdict is not None
    return {
        "seed": seed,
        "is": outcome.story,
        "decision": report.decision.value,
        "planted": target_of(seed) if outcome.story == "poisoned" else None,
        "named": list(report.verdict.target_classes),
        "accuracy": outcome.trained.accuracy,
        "attack": outcome.trained.attack_success,
        "index": max(_values(report.evidence, "neural-cleanse", "anomaly-index"), default=None),
        "ratio": min(_values(report.evidence, "neural-cleanse", "size-ratio"), default=None),
        "silhouette": max(_values(report.evidence, "activation-clustering", "silhouette"), default=None),
        "agreement": max(_values(report.evidence, "model-inversion", "agreement"), default=None),
        "sizes": [round(size, 1) for size in _values(report.evidence, "neural-cleanse", "size")],
        "seconds": outcome.seconds,
    }


def _values(evidence: Evidence, detector: str, metric: str) -> list[float]:
    outcome = evidence.outcomes.get(detector)
    if not isinstance(outcome, Measured):
        return []
    return [m.value for m in outcome.measurements if m.metric == metric]


def _print(rows: list[dict[str, Any]]) -> None:
    print(f"{'seed':>4} {'is':9} {'decision':9} {'planted':>7} {'named':>9} {'index':>6} {'ratio':>6} "
          f"{'silhouette':>10} {'agreement':>9} {'attack':>7} {'seconds':>7}")  # fmt: skip
    for row in rows:
        named = ",".join(map(str, row["named"]))
        print(
            f"{row['seed']:>4} {row['is']:9} {row['decision']:9} {_text(row['planted'], '')!s:>7} {named:>9} "
            f"{row['index']:>6.2f} {row['ratio']:>6.2f} {_text(row['silhouette']):>10} {_text(row['agreement']):>9} "
            f"{row['attack']:>7.2f} {row['seconds']:>7.0f}"
        )
    clean = [row for row in rows if row["is"] == "clean"]
    poisoned = [row for row in rows if row["is"] == "poisoned"]
    approved = sum(row["decision"] == "approved" for row in clean)
    flagged = sum(row["decision"] == "flagged" for row in poisoned)
    named = sum(row["named"] == [row["planted"]] for row in poisoned)
    alone = sum(row["index"] > 2 for row in clean)
    print(f"right on {approved + flagged} of {len(rows)}: {approved} of {len(clean)} clean approved,", end=" ")
    print(f"{flagged} of {len(poisoned)} poisoned flagged, {named} of those with exactly the planted class")
    print(f"the published rule (index above 2) would have flagged {alone} of {len(clean)} clean models")


def _text(value: float | None, missing: str = "-") -> str:
    return missing if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
