"""The same models beside other banks, of clean models that there were: a line to stand below the table."""

from collections.abc import Collection, Sequence
from pathlib import Path

from benchmarks.efficacy import summaries
from benchmarks.efficacy.banking import opened, pairs_of
from benchmarks.efficacy.judged import Judged, judged_by_policy
from benchmarks.efficacy.scanning import Bench
from benchmarks.efficacy.subjects import reported_models
from benchmarks.efficacy.tables import exact_share
from benchmarks.self_made.table import area
from benchmarks.zoo.recipe import Split


def judged_beside(
    split: Split, names: Collection[str], banks: Sequence[Path], bench: Bench, evidence: Path
) -> list[Judged]:
    """Judge models of a split beside the bank of their task; without one, as without any bank."""
    found = {one.name: one for one in reported_models(bench.store, split).counting if one.name in names}
    return judged_by_policy(pairs_of(found, summaries.path_of(split, evidence)), bench.policy, opened(banks))


def line(rows: Sequence[Judged]) -> str:
    """Return what these are in all, in words."""
    clean, planted = ([row for row in rows if row.backdoored is bad] for bad in (False, True))
    found = [row for row in planted if row.flagged]
    scores = ([row.score for row in part if row.score is not None] for part in (planted, clean))
    shares = (
        f"clean flagged {exact_share(sum(bool(row.flagged) for row in clean), len(clean))}",
        f"backdoored flagged {exact_share(len(found), len(planted))}",
        f"of these a planted target named {exact_share(sum(row.any_right for row in found), len(found))}",
        f"area {area(*scores)}",
    )
    return "; ".join(shares)
