"""The one table: each published figure, the gate's beside it, its kept rows and their day, and in what the two differ.

The end of the flow; pure.
"""

from collections.abc import Mapping, Sequence

from benchmarks.anchors.figure import NOT_MEASURED
from benchmarks.anchors.kept import Kept
from benchmarks.anchors.published import Published
from benchmarks.efficacy.page import ROOT
from benchmarks.efficacy.tables import markdown
from benchmarks.zoo.recipe import Split
from gate.records.errors import UsageError

PAGE = ROOT / "docs" / "results" / "anchors.md"
MARK = "anchors"
HEAD = (
    "what is compared", "published", "where from", "models and setting", "the gate today", "kept rows",
    "in what they differ",
)  # fmt: skip
REPORTED: tuple[Split, ...] = ("test", "unseen")
"""Splits of the small zoo that figures may be reported of."""


def text(split: Split, pairs: Sequence[tuple[Published, Kept]]) -> str:
    """Return what stands between the page's markers."""
    gone = sum(not figure.measured for _, figure in pairs)
    head = f"{_opening(split)}{len(pairs)} published figures, {gone} of them with nothing measured beside them."
    return f"{head}\n\n{markdown(HEAD, (_row(anchor, figure) for anchor, figure in pairs)).strip()}"


def told_split(written: str) -> Split | None:
    """Return the split that a written table tells of; None of what is no table."""
    return next((split for split in REPORTED if written.startswith(_opening(split))), None)


def _opening(split: Split) -> str:
    return f"Split `{split}` of the zoo; "


def _row(anchor: Published, figure: Kept) -> Sequence[str]:
    return (
        f"{anchor.lane}: {anchor.what}",
        f"{anchor.figure} {f'({anchor.unit})' if anchor.unit else ''}".strip(),
        anchor.origin,
        f"{anchor.models}; {anchor.setting}",
        figure.value if figure.measured else f"**{NOT_MEASURED}**",
        _rows_of(figure),
        anchor.differs,
    )


def _rows_of(figure: Kept) -> str:
    command = figure.command if figure.command == "none" else f"`{figure.command}`"
    return "; ".join(part for part in (figure.of, command, figure.date) if part)


def beside(anchors: Sequence[Published], known: Mapping[str, Kept]) -> list[tuple[Published, Kept]]:
    """Return each published figure with the gate's. One that names what is not kept is an error, never a row less."""
    if unknown := sorted({one.gate for one in anchors} - set(known)):
        raise UsageError(
            f"published figures name {', '.join(unknown)}, which the gate keeps no figure of",
            what_to_do=f"Run with --write, or name one of: {', '.join(sorted(known))}.",
        )
    return [(one, known[one.gate]) for one in anchors]
