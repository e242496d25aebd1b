"""Results as a Markdown table: by method and attack, the planted trigger before and after, and what it cost."""

import itertools
import statistics
from collections.abc import Iterator, Sequence

from benchmarks.efficacy.tables import exact_share
from benchmarks.remediation.rows import Row
from gate.worker.repair import for_space

MOST_SUCCESS, MOST_LOST = 0.05, 0.02
"""The target: a planted trigger at most this successful, and at most so much clean accuracy lost."""
ERRORS_ALONE = 0.05
"""By so much true success may lie above the images' own errors towards the target to count as those."""
_HEAD = (
    "| method | attack | models | fits | true success, before → after (medians) | accuracy lost | target | holds | s |"
)


ORDER = for_space("images")


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines: a row by method and attack, and one over all attacks; then the same of what `auto` ends at."""
    yield _HEAD
    yield "|---|---|--:|--:|---|--:|--:|--:|--:|"
    for method in _methods(rows):
        own = [row for row in rows if row.method == method]
        for attack in sorted({row.attack for row in own}):
            yield _line(method, attack, [row for row in own if row.attack == attack])
        if own:
            yield _line(method, "**all**", own)
    chosen = auto(rows)
    for attack in sorted({row.attack for row in chosen}):
        yield _line("`auto`", attack, [row for row in chosen if row.attack == attack])
    if chosen:
        yield _line("`auto`", "**all**", chosen)


def _order(rows: Sequence[Row]) -> list[str]:
    """Return the methods in auto's order, then those that are gone and were measured once."""
    return [*ORDER, *sorted({row.method for row in rows} - set(ORDER))]


def auto(rows: Sequence[Row]) -> list[Row]:
    """Return for each model the attempt that `auto` ends at, with the time of all; where none holds, no repair.

    A model on which one of the attempts was not measured is left out.
    """
    chosen = []
    for model in dict.fromkeys(row.model for row in rows):
        own = {row.method: row for row in rows if row.model == model}
        measured = [own[name] for name in itertools.takewhile(own.__contains__, ORDER)]
        made = list(itertools.takewhile(lambda row: not row.holds, measured))
        held = measured[len(made)] if len(made) < len(measured) else None
        if held is not None or len(measured) == len(ORDER):
            nothing = {"true_after": None, "accuracy_after": None}
            seconds = sum(row.processor_seconds for row in made) + (held.processor_seconds if held else 0.0)
            ended = held or made[-1].model_copy(update=nothing)
            chosen.append(ended.model_copy(update={"processor_seconds": seconds}))
    return chosen


def reached(row: Row) -> bool:
    """Tell whether a repair reached the target."""
    if row.true_after is None or row.accuracy_after is None:
        return False
    # Shares are kept to four digits, so a loss of exactly two points may come out a little larger.
    return row.true_after <= MOST_SUCCESS and row.accuracy_before - row.accuracy_after <= MOST_LOST + 1e-9


def sentences(rows: Sequence[Row]) -> Iterator[str]:
    """Yield in words how often `auto` reached the target, with the exact 95 % interval of Clopper and Pearson."""
    ended = auto(rows)
    right = [row for row in ended if row.right_place]
    near = [row for row in right if _errors_alone(row)]
    yield f"`auto` reached the target on {exact_share(sum(map(reached, ended)), len(ended))}, models;"
    yield f"on {exact_share(sum(map(reached, right)), len(right))}, of those whose planted target was the suspect."
    yield (
        f"On {exact_share(len(near), len(right))}, of the latter true success ended at most "
        f"{100 * ERRORS_ALONE:.0f} points above the same images' "
        "errors towards the target without a trigger, accuracy apart."
    )


def each(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a line for every attempt that came to a repaired model, model by model, with the attempt's own measures."""
    yield (
        "| model | method | true success | without the trigger | clean accuracy | old trigger, kept back | "
        "fresh size over the median | holds | s |"
    )
    yield "|---|---|---|--:|---|--:|--:|---|--:|"
    order = _methods(rows)
    for row in sorted(rows, key=lambda row: (row.model, order.index(row.method))):
        if row.true_after is None or row.accuracy_after is None or row.after is None:
            continue
        cells = (
            f"{row.attack}, {row.task}, {row.architecture} ({row.model}{'' if row.right_place else ', wrong suspect'})",
            row.method,
            f"{row.true_before:.1%} → {_marked(f'{row.true_after:.1%}', reached(row))}",
            "–" if row.untriggered_after is None else f"{row.untriggered_after:.1%}",
            f"{row.accuracy_before:.1%} → {row.accuracy_after:.1%}",
            _number(row.after.old_success.get(row.place), "{:.0%}"),
            _number(row.after.fresh_size_ratio.get(row.place), "{:.2f}"),
            "yes" if row.holds else "no",
            f"{row.processor_seconds:.0f}",
        )
        yield "| " + " | ".join(cells) + " |"


def _methods(rows: Sequence[Row]) -> list[str]:
    """Return the methods by the gate's order, and then those of older results that the gate no longer has."""
    return list(dict.fromkeys([*ORDER, *sorted({row.method for row in rows})]))


def _marked(text: str, strong: bool) -> str:
    return f"**{text}**" if strong else text


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def _errors_alone(row: Row) -> bool:
    if row.true_after is None or row.untriggered_after is None:
        return False
    return row.true_after - row.untriggered_after <= ERRORS_ALONE + 1e-9


def _line(method: str, attack: str, rows: Sequence[Row]) -> str:
    done = [row for row in rows if row.true_after is not None and row.accuracy_after is not None]
    success = lost = "–"
    if done:
        before = statistics.median(row.true_before for row in done)
        after = statistics.median(row.true_after or 0.0 for row in done)
        success = f"{before:.0%} → {after:.0%}"
        points = 100 * statistics.median(row.accuracy_before - (row.accuracy_after or 0.0) for row in done)
        lost = f"{points:+.1f} points"
    target, held = sum(map(reached, rows)), sum(row.holds for row in rows)
    seconds = statistics.median(row.processor_seconds for row in rows)
    cells = (method, attack, len(rows), len(done), success, lost, f"{target}/{len(rows)}", f"{held}/{len(rows)}")
    return "| " + " | ".join(map(str, cells)) + f" | {seconds:.0f} |"
