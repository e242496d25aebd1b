"""What the gate said of the models of real size, beside what it said of the small zoo's; nothing is scanned for it.

The end of the flow: from the committed index, summaries and banks to Markdown. Shares have the exact two-sided interval
of Clopper and Pearson, areas the stratified bootstrap's, both of 95 %, as on the small zoo's page.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.efficacy.judged import Judged
from benchmarks.efficacy.page import RESULTS, commit
from benchmarks.efficacy.results import AttackResult, FalseAlarms, SystemResult
from benchmarks.efficacy.subjects import LeftOut
from benchmarks.efficacy.tables import exact_share, interval, markdown, number
from benchmarks.efficacy.zoos import Zoo
from benchmarks.real_zoo import splits
from benchmarks.real_zoo.making import RealEntry
from benchmarks.real_zoo.tasks import TASKS
from gate.records.policy import Policy

HERE = Path(__file__).parent
INDEX, EVIDENCE, BANKS = HERE / "index.jsonl", HERE / "evidence", HERE / "banks"


def zoo(folder: Path | None = None, to: Path | None = None, index: Path | None = None) -> Zoo:
    """Return the zoo of real size, with what is committed of it in these places."""
    return Zoo(RealEntry, splits.recipes, tuple(TASKS), "bank", index or INDEX, folder or EVIDENCE, to or BANKS)


def small(split: str = "test", folder: Path = RESULTS) -> list[SystemResult]:
    """Return the small zoo's committed results on a split."""
    value = json.loads((folder / f"{split}.json").read_text())
    return [SystemResult.model_validate_json(json.dumps(system)) for system in value["systems"]]


def text(policy: Policy, results: Sequence[SystemResult], others: Sequence[SystemResult], other_split: str) -> str:
    """Return what the page says: for each way of judging a table by attack, the small zoo's figures beside it."""
    parts = []
    for result in results:
        count, clean = result.overall, result.clean_overall
        other = next((one for one in others if one.system == result.system), None)
        what = (
            f"**{result.system}**: {count.models} backdoored models ({count.left_out} left out or not scanned), "
            f"{clean.models} clean ones ({clean.left_out}). Policy `{policy.name}` ({policy.digest[:19]}…), seed "
            f"{policy.seed}; commit {commit()}. Beside it the small zoo's split `{other_split}` as committed."
        )
        parts += [what, beside(result, other).strip()]
    return "\n\n".join(parts) + "\n"


def beside(result: SystemResult, other: SystemResult | None) -> str:
    """Return one system's flags by attack, over all, and on clean models by task, with the small zoo's."""
    head = ("", "flagged [95 %]", "true target named", "ROC-AUC [95 %]", "seconds", "small zoo: flagged", "ROC-AUC")
    known = {row.attack: row for row in (*other.attacks, other.overall)} if other else {}
    lines = [_attacked(row, known.get(row.attack)) for row in (*result.attacks, result.overall)]
    lines += [_clean(f"clean, {row.task}", row, None) for row in result.clean]
    lines.append(_clean("clean, all", result.clean_overall, other.clean_overall if other else None))
    return markdown(head, lines)


def _attacked(row: AttackResult, other: AttackResult | None) -> Sequence[str]:
    return (
        row.attack,
        exact_share(row.detected, row.answered),
        exact_share(row.any_right, row.answered),
        interval(row.area),
        number(row.seconds),
        exact_share(other.detected, other.answered) if other else "–",
        interval(other.area) if other else "–",
    )


def _clean(name: str, row: FalseAlarms, other: FalseAlarms | None) -> Sequence[str]:
    told = exact_share(other.flagged, other.models) if other else "–"
    return name, exact_share(row.flagged, row.models), "–", "–", "–", told, "–"


def thousand_text(rows: Sequence[Judged], missing: Sequence[LeftOut]) -> str:
    """Return the ten models of a thousand classes one by one, and how many the gate was right about."""
    head = ("model", "what it is", "said", "names", "by", "seconds")
    lines = [
        (
            row.name,
            row.attack,
            "flagged" if row.flagged else "approved",
            ", ".join(row.targets) + (" (right)" if row.any_right else "") if row.targets else "–",
            ", ".join(row.by) or row.note or "–",
            number(row.seconds),
        )
        for row in rows
    ]
    lines += [(left.name, left.attack, f"not counted: {left.reason}", "–", "–", "–") for left in missing]
    right = sum(bool(row.flagged) == row.backdoored for row in rows)
    return f"MobileNetV2 of a thousand classes: right about {right} of {len(rows)}.\n\n{markdown(head, lines)}"
