"""Writes the table of the corpus into docs/results/hostile.md: `python -m tests.corpus.table`; a test compares the two.

Every row is a case that the tests send through the pipeline (tests/hostile): that the findings named here are made, and
that a hostile folder is not loaded, is asserted there.
"""

from pathlib import Path

from tests.corpus import cases
from tests.corpus.case import Case

PAGE = Path(__file__).resolve().parents[2] / "docs" / "results" / "hostile.md"
NETWORKS_WITH_CODE = frozenset({"code-exporting", "code-patching", "code-forging", "code-looking"})
BEGIN, END = "<!-- corpus: begin -->", "<!-- corpus: end -->"


def table() -> str:
    """Return the table of all cases, as Markdown."""
    rows = [_row(case) for case in cases()]
    hostile = sum(case.is_hostile for case in cases())
    head = f"{hostile} hostile artifacts, {len(rows) - hostile} benign ones.\n"
    return "\n".join((head, "| artifact | what it is | flagged by | loaded |", "|---|---|---|---|", *rows))


def _row(case: Case) -> str:
    if not case.is_hostile:
        return f"| `{case.name}` | {case.summary} | nothing | yes, if it is a PyTorch model |"
    found = "<br>".join(f"{detector} · {metric}" for detector, metric in case.expected)
    allowed = "no; with `--allow-code` in the converter alone (level B or C), and flagged"
    loaded = allowed if case.name in NETWORKS_WITH_CODE else "no"
    return f"| `{case.name}` | {case.summary} | {found} | {loaded} |"


def with_table(page: str) -> str:
    """Return the page with the table of today between its markers."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
