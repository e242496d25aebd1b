"""What a detector system, the gate or a peer, said of one model, beside what the model is.

Between summaries and results: the one form in which the gate under a policy and the peers are counted alike.
"""

from collections.abc import Collection, Iterable, Sequence

from benchmarks.efficacy import summaries
from benchmarks.efficacy.banking import beside
from benchmarks.efficacy.score import score
from benchmarks.efficacy.truth import compare, truth_of
from benchmarks.zoo.store import Entry
from gate.judging.judge import judge
from gate.records.bank import OpenBank
from gate.records.evidence import Failed, Measured
from gate.records.finding import Decision
from gate.records.policy import Policy
from gate.records.record import Record

GATE, GATE_BESIDE = "gate", "gate beside a bank"


class Judged(Record):
    """One model under one system."""

    name: str
    task: str
    architecture: str
    attack: str
    variant: str
    backdoored: bool
    flagged: bool | None
    """None where the system names no threshold, or could not run."""
    by_limit: bool = False
    """Whether a limit is exceeded, and not only something missing or a condition."""
    score: float | None
    targets: tuple[str, ...] = ()
    """Classes and pairs that it names."""
    by: tuple[str, ...] = ()
    """What flagged it: detectors with their metric, or the p-value's rule."""
    has_target: bool = False
    """Whether the backdoor sends what it changes to some class that can be named."""
    any_right: bool = False
    all_right: bool = False
    seconds: float
    """On the clock of a busy machine."""
    processor_seconds: float | None = None
    sample_passes: int
    note: str = ""


def judged_by_policy(
    pairs: Iterable[tuple[Entry, summaries.Summary]], policy: Policy, banks: Sequence[OpenBank] = ()
) -> list[Judged]:
    """Judge the summaries of models by a policy, beside the bank of its task where one is given."""
    return [_judged(entry, summary, policy, banks) for entry, summary in pairs]


def _judged(entry: Entry, summary: summaries.Summary, policy: Policy, banks: Sequence[OpenBank]) -> Judged:
    evidence = beside(summaries.evidence_of(summary), banks, policy)
    verdict = judge(evidence, policy, on=summaries.ANY_DAY)
    limits = [finding for finding in verdict.open_findings if finding.kind == "limit"]
    places = [finding.location for finding in limits if finding.location is not None]
    named = compare(truth_of(entry), places)
    seconds = [outcome.seconds for outcome in evidence.outcomes.values() if isinstance(outcome, Measured | Failed)]
    passes = [outcome.sample_passes for outcome in evidence.outcomes.values() if isinstance(outcome, Measured)]
    return Judged(
        **about(entry),
        flagged=verdict.decision is Decision.FLAGGED,
        by_limit=bool(limits),
        score=score(evidence, policy),
        targets=tuple(dict.fromkeys(str(place) for place in places if place.class_index is not None)),
        by=tuple(dict.fromkeys(f"{finding.rule} {finding.metric or ''}".strip() for finding in limits)),
        has_target=bool(truth_of(entry).targets),
        any_right=named.any_right,
        all_right=named.all_right,
        seconds=round(sum(seconds), 1),
        processor_seconds=summary.processor_seconds,
        sample_passes=sum(passes),
        note="; ".join(f.message[:100] for f in verdict.open_findings if f.kind != "limit")[:300],
    )


def about(entry: Entry) -> dict[str, str | bool]:
    """Return what a model is, as the fields of `Judged`."""
    row = entry.recipe.row
    return {
        "name": row.name,
        "task": row.task,
        "architecture": row.architecture,
        "attack": row.attack,
        "variant": row.variant,
        "backdoored": truth_of(entry).backdoored,
    }


def among(rows: Sequence[Judged], names: Collection[str]) -> list[Judged]:
    """Return those of these names, so that two systems are counted on the same models."""
    return [row for row in rows if row.name in names]
