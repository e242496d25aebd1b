"""Whether a scan finds the same in both arithmetics: in the quickest form that agrees, and as the model was read.

Beside the flow of banks and tables: each model of *fit* is scanned twice through the gate's own steps, by one policy
and seed. A row a model is kept as soon as both scans have ended, so that a run goes on where it was ended.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import get_args

from benchmarks.efficacy.page import commit
from benchmarks.efficacy.scanning import Arithmetic, Bench, through_the_gate
from benchmarks.efficacy.score import score
from benchmarks.efficacy.subjects import label_of
from benchmarks.efficacy.summaries import ANY_DAY
from benchmarks.efficacy.tables import exact_share, markdown, number
from benchmarks.real_cost.measuring import told_findings, told_suspects
from benchmarks.real_cost.rows import lines
from benchmarks.zoo.store import Entry, write_whole
from gate.judging.judge import judge
from gate.records.evidence import Evidence, Measured
from gate.records.policy import Policy
from gate.records.record import Record

FILE = Path(__file__).parents[1] / "results" / "arithmetic.jsonl"
ScanIn = Callable[[Entry, Arithmetic], Evidence]
"""Scans a model in one of the arithmetics; a seam for tests."""


class Way(Record):
    """What one scan of a model came to."""

    form: str
    """How searches and probes ran the net; empty where as it was read."""
    flagged: bool
    findings: tuple[str, ...]
    suspects: tuple[str, ...]
    score: float
    seconds: float
    """Of the detectors, on the clock."""


class Row(Record):
    """A model scanned in both arithmetics."""

    name: str
    label: str
    """Its name, task, net and attack."""
    program: str
    """Digest of the exported program."""
    policy: str
    """Digest of the policy."""
    commit: str
    auto: Way
    as_read: Way

    @property
    def same(self) -> bool:
        """Whether both scans have the same findings."""
        return self.auto.findings == self.as_read.findings


def scan_in(bench: Bench) -> ScanIn:
    """Return the scan of a bench's models in jailed workers, in one of the arithmetics."""

    def scan(entry: Entry, arithmetic: Arithmetic) -> Evidence:
        within = bench.policy.model_copy(update={"deadline": bench.budget})
        return through_the_gate(bench, arithmetic)(entry, within, bench.conditions(entry))

    return scan


def compared(
    entries: Sequence[Entry], policy: Policy, scan: ScanIn, path: Path = FILE, limit: int | None = None
) -> Iterator[Row]:
    """Scan the models that have no row under the policy, keep each row, and yield it."""
    rows = read(path)
    known = {(row.name, row.program, row.policy) for row in rows}
    waiting = [one for one in entries if (one.name, one.files.exported, policy.digest) not in known]
    for entry in waiting[:limit]:
        row = _row(entry, policy, scan)
        rows = sorted([*(one for one in rows if one.name != row.name), row], key=lambda one: one.name)
        write_whole(path, lines(rows))
        yield row


def _row(entry: Entry, policy: Policy, scan: ScanIn) -> Row:
    auto, as_read = (_way(scan(entry, arithmetic), policy) for arithmetic in get_args(Arithmetic))
    return Row(
        name=entry.name, label=label_of(entry), program=entry.files.exported, policy=policy.digest, commit=commit(),
        auto=auto, as_read=as_read,
    )  # fmt: skip


def _way(evidence: Evidence, policy: Policy) -> Way:
    verdict = judge(evidence, policy, on=ANY_DAY)
    return Way(
        form=evidence.facts.arithmetic,
        flagged=str(verdict.decision) == "flagged",
        findings=told_findings(verdict),
        suspects=told_suspects(evidence.suspects),
        score=score(evidence, policy),
        seconds=round(sum(one.seconds for one in evidence.outcomes.values() if isinstance(one, Measured)), 1),
    )


def read(path: Path = FILE) -> list[Row]:
    """Return the rows that are kept; none where the file is missing."""
    kept = path.read_text("utf-8").splitlines() if path.is_file() else []
    return [Row.from_json(line.encode(), what=path.name) for line in kept]


def text(rows: Sequence[Row]) -> str:
    """Return how many models have the same findings in both arithmetics, and each model with what differs."""
    quick = [row for row in rows if row.auto.form]
    head = ("model", "form", "findings", "score: quick, as read", "seconds: quick, as read")
    told = [
        (
            row.label,
            row.auto.form or "as read",
            _findings(row),
            f"{number(row.auto.score)}, {number(row.as_read.score)}",
            f"{row.auto.seconds:.0f}, {row.as_read.seconds:.0f}",
        )
        for row in rows
    ]
    said = (
        f"The same findings in both arithmetics: {exact_share(sum(row.same for row in rows), len(rows))} models, "
        f"{len(quick)} of them run in a quicker form; the same decision: "
        f"{exact_share(sum(row.auto.flagged == row.as_read.flagged for row in rows), len(rows))}. "
        f"Policy {', '.join(sorted({row.policy[:19] + '…' for row in rows}))}, "
        f"commit {', '.join(sorted({row.commit for row in rows}))}."
    )
    return f"{said}\n\n{markdown(head, told)}"


def _findings(row: Row) -> str:
    if row.same:
        return f"the same {len(row.auto.findings)}"
    return f"quick alone: {_those(row.auto, row.as_read)}; as read alone: {_those(row.as_read, row.auto)}"


def _those(one: Way, other: Way) -> str:
    return ", ".join(finding for finding in one.findings if finding not in other.findings) or "none"
