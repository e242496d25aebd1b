"""The measured cases as the part of docs/results/cost.md between its markers.

The end of the flow: time and memory beside their targets, arithmetic beside the eager net's, seconds by detector.
"""

from collections.abc import Sequence

from benchmarks.efficacy.page import ROOT
from benchmarks.efficacy.tables import markdown
from benchmarks.real_cost.cases import ANY_ISA, LEAST_SEARCHING, LEAST_SHARE, MOST_MEMORY
from benchmarks.real_cost.rows import Row, precisions

PAGE = ROOT / "docs" / "results" / "cost.md"
MARK = "real-cost"
NOTHING = "Nothing is measured yet."
_GIB = 1 << 30


def text(rows: Sequence[Row]) -> str:
    """Return all tables, or that there is nothing."""
    if not rows:
        return NOTHING
    parts = [times(rows), "What the arithmetic reaches:", arithmetic(rows), "Seconds by detector:", detectors(rows)]
    return "\n\n".join([*(part.strip() for part in parts), *findings(rows), *machines(rows)])


def times(rows: Sequence[Row]) -> str:
    """Return minutes, as they were and scaled, and memory, each beside its target."""
    head = (
        *("net", "classes", "samples", "instructions", "minutes", "at 180 GFLOP/s a core", "target"),
        *("peak memory, GiB", "decision", "suspects"),
    )
    return markdown(head, [_time_cells(row) for row in rows])


def _time_cells(row: Row) -> tuple[str, ...]:
    memory = f"{row.peak_bytes / _GIB:.2f}{'' if row.peak_bytes <= MOST_MEMORY else ' (more than 4)'}"
    return (
        named(row),
        str(row.case.classes),
        f"{row.case.samples:,}",
        instructions(row),
        f"{row.seconds / 60:.1f}",
        f"{row.scaled / 60:.1f}",
        _reached(row),
        memory,
        row.decision,
        str(len(row.suspects)),
    )


def _reached(row: Row) -> str:
    """Return the target and whether it was reached; a scan that left detectors out for its deadline has none."""
    if row.target is None:
        return "none"
    if unfinished(row):
        return f"{row.target}: not ended"
    return f"{row.target}: {'reached' if row.scaled <= 60 * row.target else 'missed'}"


def unfinished(row: Row) -> tuple[str, ...]:
    """Return the detectors that the deadline left out."""
    return tuple(one.name for one in row.took if one.status == "skipped" and "deadline" in one.note)


def arithmetic(rows: Sequence[Row]) -> str:
    """Return passes, operations and shares of the measured peak, beside the eager net's in the same run."""
    head = (
        *("net", "instructions", "forward; with gradients", "pass-equivalents", "10¹² multiply-adds"),
        *("GFLOP/s a core, float32 and bfloat16", "share of the peak", "at least", "eager float32: forward, gradient"),
        *("searches over eager", "at least"),
    )
    return markdown(head, [_arithmetic_cells(row) for row in rows])


def _arithmetic_cells(row: Row) -> tuple[str, ...]:
    forward, gradient = row.eager_shares
    wanted = LEAST_SHARE.get(row.case.net.name)
    if row.case.net.name == "resnet18" and "bfloat16" in precisions(row.arithmetic):
        wanted = None  # stated for float32 alone
    return (
        f"{named(row)} ({row.case.classes})",
        instructions(row),
        "; ".join(precisions(row.arithmetic)),
        f"{row.equivalents:,.0f}",
        f"{sum(row.operations) / 2e12:,.1f}",
        f"{row.peak('float32'):.0f}, {row.peak('bfloat16'):.0f}",
        f"{row.share:.0%}",
        "–" if wanted is None else f"{wanted:.0%}: {_held(row.share, wanted)}",
        f"{forward:.0%}, {gradient:.0%}",
        "–" if row.searching is None else f"{row.searching:.2f}",
        _searching(row),
    )


def _searching(row: Row) -> str:
    wanted = LEAST_SEARCHING.get(row.case.net.name)
    return "–" if wanted is None or row.searching is None else f"{wanted:g}: {_held(row.searching, wanted)}"


def _held(value: float, wanted: float) -> str:
    return "reached" if value >= wanted else "missed"


def detectors(rows: Sequence[Row]) -> str:
    """Return seconds by detector, a column a case, with what no detector took, and all together."""
    names = dict.fromkeys(one.name for row in rows for one in row.took if one.seconds)
    by = [{one.name: one.seconds for one in row.took} for row in rows]
    body = [(name, *(f"{took[name]:.1f}" if took.get(name) else "–" for took in by)) for name in names]
    rest = [row.seconds - sum(took.values()) for row, took in zip(rows, by, strict=True)]
    body.append(("start, reading, choosing forms, writing the bundle", *(f"{seconds:.1f}" for seconds in rest)))
    body.append(("all", *(f"{row.seconds:.1f}" for row in rows)))
    return markdown(("detector", *(_column(row) for row in rows)), body)


def findings(rows: Sequence[Row]) -> list[str]:
    """Return a sentence about each case with findings, suspects, or detectors that the deadline left out."""
    told = []
    for row in rows:
        kinds = {"findings": row.findings, "suspects": row.suspects, "left out by the deadline": unfinished(row)}
        parts = [f"{kind}: {', '.join(values)}" for kind, values in kinds.items() if values]
        if parts:
            told.append(f"{row.case}: {'; '.join(parts)}.")
    return told


def machines(rows: Sequence[Row]) -> list[str]:
    """Return a sentence about each machine, with what ran there by which versions."""
    told: dict[str, list[str]] = {}
    for row in rows:
        one, versions = row.processor, ", ".join(f"{name} {number}" for name, number in row.versions.items())
        flags = ", ".join(one.flags) or "none of the flags that are looked for"
        said = f"{one.name}, {one.cores} cores ({flags}); {row.case.threads} threads; {versions}"
        told.setdefault(f"{said}; policy {row.policy.removeprefix('sha256:')[:12]}…, commit {row.commit}", []).append(
            f"{row.case.net.name} ({instructions(row)})"
        )
    return [f"{', '.join(cases)} on {machine}." for machine, cases in told.items()]


def named(row: Row) -> str:
    """Return the net, with its size and arithmetic where they are not the usual ones."""
    odd = [f"{row.case.side} × {row.case.side}"] if row.case.side != 224 else []
    odd += ["as read"] if row.case.arithmetic == "as-read" else []
    return ", ".join([row.case.net.name, *odd])


def instructions(row: Row) -> str:
    """Return the most that oneDNN was allowed."""
    return "all" if row.case.isa == ANY_ISA else row.case.isa


def _column(row: Row) -> str:
    limited = "" if row.case.isa == ANY_ISA else f", {row.case.isa}"
    return f"{named(row)} ({row.case.classes}{limited})"
