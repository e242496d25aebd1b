"""Ranks the models of a pair beside its self-made bank by the gate's own rule; no model is scanned again.

What was measured is read from the committed summaries, so that a model whose bytes lie in another cache is compared
too. A bank is by task and samples: a candidate whose program has another form than the copied one (`choosing`) is
compared like any other, and its row says so. A row that was written from the same bank, evidence and policy is kept.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.efficacy.banking import beside
from benchmarks.efficacy.judged import about
from benchmarks.efficacy.scanning import Bench
from benchmarks.efficacy.score import score
from benchmarks.efficacy.subjects import NOT_SCANNED, reported_models
from benchmarks.efficacy.summaries import ANY_DAY, Summary, evidence_of
from benchmarks.efficacy.truth import compare, truth_of
from benchmarks.self_made.choosing import Pair, form_of, source_of
from benchmarks.zoo.recipe import Split
from benchmarks.zoo.store import Entry, write_whole
from gate import VERSION
from gate.judging.judge import judge
from gate.records.bank import OpenBank
from gate.records.evidence import Evidence
from gate.records.finding import Decision
from gate.records.policy import CALIBRATED_RULE, Policy
from gate.records.record import Record
from gate.records.verdict import Verdict

ROWS = Path(__file__).parents[1] / "results" / "self_made.jsonl"


class Compared(Record):
    """One model beside the self-made bank of its task and net."""

    split: Split
    name: str
    task: str
    architecture: str
    attack: str
    variant: str
    backdoored: bool
    key: str
    """Digest of bank, evidence and policy."""
    same_form: bool
    """Whether its program has the form of the copied one."""
    source: bool
    """Whether its own program was copied."""
    copies: int
    """Models of the bank; nought where it could not be used."""
    others: int = 0
    """Clean models of other tasks that are ranked with them."""
    score: float
    p_value: float | None
    level: float | None
    unlike: tuple[str, ...] = ()
    """Traits outside the bank's range."""
    unbelieved: str = ""
    """Why p does not judge; empty where it does."""
    flagged: bool
    """By the whole verdict, in which limits judge beside the p-value, or in its place."""
    right: bool = False
    """Whether a place that the p-value names is a planted target."""

    @property
    def by_p(self) -> bool:
        """Whether the p-value judges, and flags."""
        return not self.unbelieved and self.p_value is not None and self.p_value <= (self.level or 0)


@dataclass(frozen=True)
class Step:
    """One model that is done, or why it cannot be compared."""

    entry: Entry
    row: Compared | None
    new: bool = False
    why: str = ""


def compare_pair(
    pair: Pair, bank: OpenBank, bench: Bench, known: Mapping[str, Compared], measured: Mapping[str, Summary]
) -> Iterator[Step]:
    """Yield each model of a pair that counts; `known` are rows by name, taken where nothing has changed.

    `measured` are the summaries of the split, by name.
    """
    source = source_of(pair, bench.store)
    for entry in reported_models(bench.store, pair.split).counting:
        if not pair.holds(entry):
            continue
        summary = measured.get(entry.name)
        if summary is None or summary.missing:
            yield Step(entry, None, why=NOT_SCANNED)
            continue
        evidence = evidence_of(summary)
        key, old = _key(bank, evidence, bench.policy), known.get(entry.name)
        if old is not None and old.key == key:
            yield Step(entry, old)
            continue
        row = row_of(entry, evidence, bank, bench.policy, source=source)
        yield Step(entry, row.model_copy(update={"key": key}), new=True)


def row_of(entry: Entry, evidence: Evidence, bank: OpenBank, policy: Policy, *, source: Entry) -> Compared:
    """Return how a model stands beside a bank."""
    evidence = beside(evidence, [bank], policy)
    verdict = judge(evidence, policy, on=ANY_DAY)
    seen, standing = evidence.bank.comparison if evidence.bank else None, verdict.standing
    unlike = [one.name for one in seen.traits if not one.within(policy.exchange_margin)] if seen else []
    return Compared(
        split=entry.recipe.row.split,
        **about(entry),
        key="",
        same_form=form_of(entry.recipe) == form_of(source.recipe),
        source=entry.name == source.name,
        copies=standing.models if standing else 0,
        others=standing.others if standing else 0,
        score=score(evidence, policy),
        p_value=standing.p_value if standing else None,
        level=standing.level if standing else None,
        unlike=tuple(unlike),
        unbelieved=verdict.uncalibrated_because,
        flagged=verdict.decision is Decision.FLAGGED,
        right=_right(entry, verdict),
    )


def _right(entry: Entry, verdict: Verdict) -> bool:
    found = [one.location for one in verdict.findings if one.rule == CALIBRATED_RULE and one.kind == "limit"]
    return compare(truth_of(entry), [place for place in found if place is not None]).any_right


def _key(bank: OpenBank, evidence: Evidence, policy: Policy) -> str:
    parts = (VERSION, bank.sha256, evidence.content_sha256, policy.digest)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def read_rows(path: Path = ROWS) -> list[Compared]:
    """Return the rows of all splits; a missing file holds none."""
    if not path.is_file():
        return []
    return [Compared.from_json(line.encode(), what=path.name) for line in path.read_text().splitlines()]


def write_rows(split: Split, rows: Sequence[Compared], path: Path = ROWS) -> None:
    """Replace the rows of one split in one step; those of other splits stay."""
    kept = [row for row in read_rows(path) if row.split != split]
    every = sorted([*kept, *rows], key=lambda row: (row.split, row.task, row.architecture, row.name))
    write_whole(path, "".join(f"{row.canonical_json().decode()}\n" for row in every).encode())
