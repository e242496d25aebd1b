"""Results as Markdown: a table by attack, false alarms by task, systems beside each other.

Pure; what `docs/results/efficacy.md` holds between its markers.
"""

from collections.abc import Iterable, Sequence

from benchmarks.efficacy import rates
from benchmarks.efficacy.judged import Judged
from benchmarks.efficacy.results import AttackResult, FalseAlarms, Interval, SystemResult
from benchmarks.zoo.store import Entry

TAIL = 0.975
"""On each side of an interval of 95 %."""


def by_attack(result: SystemResult) -> str:
    """Return one system's results, one row an attack."""
    head = (
        "attack", "models (left out)", "detected", "by a limit", "true target named", "and no other",
        "ROC-AUC [95 %]", "seconds", "processor s", "sample-passes",
    )  # fmt: skip
    return markdown(head, [_attack_row(row) for row in (*result.attacks, result.overall)])


def _attack_row(row: AttackResult) -> Sequence[str]:
    return (
        row.attack,
        f"{row.models} ({row.left_out})",
        share(row.detected, row.answered),
        share(row.by_limit, row.answered),
        share(row.any_right, row.answered),
        share(row.all_right, row.answered),
        interval(row.area),
        number(row.seconds),
        number(row.processor_seconds),
        number(row.sample_passes),
    )


def false_alarms(result: SystemResult) -> str:
    """Return one system's false alarms on clean models, one row a task."""
    head = ("task", "clean models (left out)", "flagged", "rate at most (exact, one-sided 95 %)")
    rows = [
        (alarms.task, f"{alarms.models} ({alarms.left_out})", str(alarms.flagged), f"{alarms.upper_bound:.0%}")
        for alarms in (*result.clean, result.clean_overall)
    ]
    return markdown(head, rows)


def side_by_side(results: Sequence[SystemResult]) -> str:
    """Return systems beside each other over all attacks."""
    head = (
        "system", "backdoored", "detected", "true target named", "ROC-AUC [95 %]", "cross-entropy", "Brier",
        "clean flagged (rate at most)", "seconds", "sample-passes",
    )  # fmt: skip
    return markdown(head, [_system_row(result) for result in results])


def _system_row(result: SystemResult) -> Sequence[str]:
    row = result.overall
    return (
        f"{result.system}{f' ({result.subset})' if result.subset else ''}",
        str(row.models),
        share(row.detected, row.answered),
        share(row.any_right, row.answered),
        interval(row.area),
        plus_minus(result.cross_entropy),
        plus_minus(result.brier),
        alarms(result.clean_overall),
        number(row.seconds),
        number(row.sample_passes),
    )


def detected_by_attack(results: Sequence[SystemResult]) -> str:
    """Return what each system detected, one row a system and one column an attack."""
    attacks = sorted({row.attack for result in results for row in result.attacks})
    rows = []
    for result in results:
        cells = {row.attack: share(row.detected, row.answered) for row in result.attacks if row.models}
        rows.append((result.system, *(cells.get(attack, "") for attack in attacks)))
    return markdown(("system", *attacks), rows)


def each_model(pairs: Iterable[tuple[Entry, Judged]]) -> str:
    """Return what was planted in each model, how well it works, and what a system said of it, one row a model."""
    head = (
        "attack", "model", "task, family", "attack success", "clean accuracy", "score", "flagged", "right target",
        "by what",
    )  # fmt: skip
    return markdown(head, [_model_row(entry, row) for entry, row in pairs])


def _model_row(entry: Entry, row: Judged) -> Sequence[str]:
    success = "–" if entry.attack_success is None else f"{entry.attack_success:.2f}"
    right = "yes" if row.all_right else "among others" if row.any_right else "no"
    return (
        row.attack,
        row.name,
        f"{row.task}, {row.architecture}",
        success,
        f"{entry.clean_accuracy:.2f}",
        "–" if row.score is None else f"{row.score:+.2f}",
        "yes" if row.flagged else "no",
        right if row.flagged else "–",
        ", ".join(row.by) or (row.note if row.flagged else "–"),
    )


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def share(hits: int, count: int) -> str:
    """Return so many of so many; nothing where nobody answered."""
    return f"{hits} of {count}" if count else "–"


def exact_share(hits: int, count: int) -> str:
    """Return so many of so many with the exact two-sided 95 % interval of Clopper and Pearson (1934)."""
    if not count:
        return "–"
    low, high = rates.lower_bound(hits, count, TAIL), rates.upper_bound(hits, count, TAIL)
    return f"{hits} of {count}, {hits / count:.0%} [{low:.0%}, {high:.0%}]"


def alarms(row: FalseAlarms) -> str:
    """Return false alarms with their bound."""
    return f"{row.flagged} of {row.models} ({row.upper_bound:.0%})" if row.models else "–"


def interval(value: Interval | None) -> str:
    """Return a value with its interval."""
    return "–" if value is None else f"{value.value:.2f} [{value.low:.2f}, {value.high:.2f}]"


def plus_minus(value: Interval | None) -> str:
    """Return a value with the half width of its interval."""
    return "–" if value is None else f"{value.value:.3f} ± {(value.high - value.low) / 2:.3f}"


def number(value: float | None) -> str:
    """Return a number with three significant digits and separated thousands."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def aligned(*cells: tuple[str, int]) -> str:
    """Return cells of at least so many characters in one line."""
    return " ".join(f"{text:{width}}" if width else text for text, width in cells).rstrip()
