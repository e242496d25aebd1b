"""Counts rows to a Markdown table, a line a bank and then all of them; shares with exact 95 % intervals."""

from collections.abc import Sequence

from benchmarks.efficacy.ranking import area_with_interval
from benchmarks.efficacy.results import Interval
from benchmarks.efficacy.tables import exact_share, interval, markdown
from benchmarks.self_made.comparing import Compared

HEAD = (
    "bank", "copies", "clean: p flags, of those it judges", "clean: flagged by the verdict",
    "backdoored: p flags, of those it judges", "of these a planted target named", "backdoored: flagged by the verdict",
    "p not believed because of traits: clean, backdoored", "for another reason", "ROC-AUC [95 %]",
)  # fmt: skip


def table(rows: Sequence[Compared]) -> str:
    """Return the table of one split's rows."""
    banks = sorted({(row.task, row.architecture) for row in rows})
    lines = [_line(" ".join(bank), [row for row in rows if (row.task, row.architecture) == bank]) for bank in banks]
    parts = {
        "all": rows,
        "of the copied program's form": [row for row in rows if row.same_form],
        "of another form": [row for row in rows if not row.same_form],
        "those that p judges": [row for row in rows if not row.unbelieved],
    }
    return markdown(HEAD, [*lines, *(_line(name, part) for name, part in parts.items())])


def _line(name: str, rows: Sequence[Compared]) -> Sequence[str]:
    clean, planted = ([row for row in rows if row.backdoored is bad] for bad in (False, True))
    found = [row for row in planted if row.by_p]
    copies = sorted({row.copies for row in rows})
    return (
        name,
        " to ".join(str(count) for count in dict.fromkeys((copies[0], copies[-1]))) if copies else "–",
        _judged(clean),
        exact_share(sum(row.flagged for row in clean), len(clean)),
        _judged(planted),
        exact_share(sum(row.right for row in found), len(found)),
        exact_share(sum(row.flagged for row in planted), len(planted)),
        ", ".join(exact_share(sum(_unlike(row) for row in part), len(part)) for part in (clean, planted)),
        str(sum(bool(row.unbelieved) and not _unlike(row) for row in rows)),
        area([row.score for row in planted], [row.score for row in clean]),
    )


def area(planted: Sequence[float], clean: Sequence[float]) -> str:
    """Return the area under the ROC curve of these scores, with its interval."""
    found = area_with_interval(planted, clean, seed=0)
    return interval(Interval(value=found.value, low=found.low, high=found.high) if found else None)


def _judged(rows: Sequence[Compared]) -> str:
    judged = [row for row in rows if not row.unbelieved]
    return exact_share(sum(row.by_p for row in judged), len(judged))


def _unlike(row: Compared) -> bool:
    return bool(row.unbelieved and row.unlike)
