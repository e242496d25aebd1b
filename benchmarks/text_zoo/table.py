"""What the gate said of the models of texts, beside a bank and without, and a keyword baseline beside both.

The end of the flow: from the committed index, summaries and banks to Markdown. Shares have the exact two-sided interval
of Clopper and Pearson, areas the stratified bootstrap's, both of 95 %.
"""

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.efficacy import rates, summaries
from benchmarks.efficacy.judged import GATE_BESIDE, Judged
from benchmarks.efficacy.page import ROOT, commit
from benchmarks.efficacy.results import AttackResult, FalseAlarms, Interval, SystemResult, result_of
from benchmarks.efficacy.tables import exact_share, interval, markdown, number
from benchmarks.efficacy.zoos import SEED, Measured, Zoo
from benchmarks.text_zoo import splits
from benchmarks.text_zoo.attack import VARIANTS
from benchmarks.text_zoo.naming import KEYWORD_LIMIT, by_keyword, evades, names_trigger
from benchmarks.text_zoo.nets import ARCHITECTURES
from benchmarks.text_zoo.shelf import TextEntry
from benchmarks.text_zoo.texts import TASKS
from gate.records import evidence as outcomes
from gate.records.evidence import Evidence
from gate.records.policy import Policy

HERE = Path(__file__).parent
INDEX, EVIDENCE, BANKS = HERE / "index.jsonl", HERE / "evidence", HERE / "banks"
PAGE = ROOT / "docs" / "results" / "text.md"
AREA, AREA_ALONE, ALARMS, NAMED, EVASION = 0.95, 0.85, 0.05, 0.8, 0.9
"""What the zoo was to reach on test, written down before a model of it was made."""
KEYWORD = "keyword baseline"
Said = Sequence[tuple[SystemResult, list[Judged]]]
Named = Callable[[Sequence[Judged]], str]


def zoo(folder: Path | None = None, to: Path | None = None, index: Path | None = None) -> Zoo:
    """Return the zoo of texts, with what is committed of it in these places."""
    return Zoo(TextEntry, splits.recipes, tuple(TASKS), "calibrate", index or INDEX, folder or EVIDENCE, to or BANKS)


def text(split: str, policy: Policy, found: Measured, said: Said) -> str:
    """Return all that is told of a split: what was to be reached, each way of judging, and what it cost."""
    evidence = {summary.name: summaries.evidence_of(summary) for _, summary in found.pairs}
    pairs = {entry.name: (entry, summary) for entry, summary in found.pairs}
    alone = said[-1][1]
    keyword = [by_keyword(row, pairs[row.name], evidence[row.name]) for row in alone]
    every = [*said, (result_of(KEYWORD, keyword, found.left_out, seed=SEED), keyword)]
    count = said[-1][0]
    planted, clean = count.overall, count.clean_overall
    head = (
        f"Split `{split}`: {planted.models} backdoored models ({planted.left_out} left out, not made or not scanned), "
        f"{clean.models} clean ones ({clean.left_out}). Policy `{policy.name}` ({policy.digest[:19]}…), seed "
        f"{policy.seed}; commit {commit()}. The {KEYWORD} flags where one inserted word moves more than "
        f"{KEYWORD_LIMIT:.0%} of the texts to a class."
    )
    entries = [entry for entry, _ in found.pairs if isinstance(entry, TextEntry)]
    parts = [head, reached(every, entries, evidence)]
    parts += [f"**{result.system}**\n\n{by_kind(result, rows, entries, evidence)}" for result, rows in every]
    parts += [f"What a scan cost, as the median:\n\n{costs(alone, evidence)}"]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def reached(every: Said, entries: Sequence[TextEntry], evidence: dict[str, Evidence]) -> str:
    """Return what was to be reached beside what each way of judging reached."""
    lines = []
    for result, rows in every:
        flagged = {row.name for row in rows if row.flagged}
        least = AREA if result.system == GATE_BESIDE else AREA_ALONE
        lines.append(_line("ROC-AUC", f"≥ {least:g}", result.system, interval(result.overall.area),
                           _at_least(result.overall.area, least)))  # fmt: skip
        clean = result.clean_overall
        within = rates.lower_bound(clean.flagged, clean.models) <= ALARMS if clean.models else None
        lines.append(_line("clean models flagged", f"not significantly above {ALARMS:.0%}", result.system,
                           exact_share(clean.flagged, clean.models), within))  # fmt: skip
        words = [entry for entry in entries if names_trigger(entry, evidence[entry.name]) is not None]
        named = [entry for entry in words if entry.name in flagged and names_trigger(entry, evidence[entry.name])]
        lines.append(_share("flagged, and a word or token of the trigger named", NAMED, result.system, len(named),
                            len(words)))  # fmt: skip
        evading = [entry for entry in entries if evades(entry)]
        found = [entry for entry in evading if entry.name in flagged]
        lines.append(_share("passes as benign by one word: flagged", EVASION, result.system, len(found), len(evading)))
    return markdown(("what", "target", "system", "measured", "reached"), lines)


def _share(what: str, least: float, system: str, hits: int, count: int) -> tuple[str, ...]:
    return _line(what, f"≥ {least:.0%}", system, exact_share(hits, count), hits / count >= least if count else None)


def _line(what: str, target: str, system: str, found: str, holds: bool | None) -> tuple[str, ...]:
    return what, target, system, found, "–" if holds is None else "yes" if holds else "**no**"


def _at_least(value: Interval | None, least: float) -> bool | None:
    return None if value is None else value.value >= least


def by_kind(
    result: SystemResult, rows: Sequence[Judged], entries: Sequence[TextEntry], evidence: dict[str, Evidence]
) -> str:
    """Return one system's flags by attack, by list and by architecture, and on clean models by task."""
    head = ("", "flagged [95 %]", "true target named", "trigger named", "ROC-AUC [95 %]")
    by_name = {entry.name: entry for entry in entries}

    def named(some: Sequence[Judged]) -> str:
        told = [names_trigger(by_name[row.name], evidence[row.name]) for row in some]
        known = [bool(one and row.flagged) for one, row in zip(told, some, strict=True) if one is not None]
        return exact_share(sum(known), len(known))

    planted = [row for row in rows if row.backdoored]
    lines = [
        _attacked(one, named([row for row in planted if one.attack in (row.attack, result.overall.attack)]))
        for one in (*result.attacks, result.overall)
    ]
    of_lists = ((f"{what} by the gate", [row for row in planted if row.variant == what]) for what in VARIANTS)
    of_nets = ((net, [row for row in planted if row.architecture == net]) for net in ARCHITECTURES)
    lines += [_some(what, some, named) for what, some in (*of_lists, *of_nets)]
    lines += [_clean(f"clean, {one.task}", one) for one in (*result.clean, result.clean_overall)]
    return markdown(head, lines)


def _attacked(row: AttackResult, named: str) -> Sequence[str]:
    right = exact_share(row.any_right, row.answered)
    return row.attack, exact_share(row.detected, row.answered), right, named, interval(row.area)


def _some(what: str, rows: Sequence[Judged], named: Named) -> Sequence[str]:
    flagged, right = sum(bool(row.flagged) for row in rows), sum(bool(row.flagged and row.any_right) for row in rows)
    return what, exact_share(flagged, len(rows)), exact_share(right, len(rows)), named(rows), "–"


def _clean(what: str, row: FalseAlarms) -> Sequence[str]:
    return what, exact_share(row.flagged, row.models), "–", "–", "–"


def costs(rows: Sequence[Judged], evidence: dict[str, Evidence]) -> str:
    """Return processor seconds, texts and tokens through the model of a scan, by architecture."""
    lines = []
    for net in ARCHITECTURES:
        own = [row for row in rows if row.architecture == net]
        if own:
            tokens = statistics.median(_tokens(evidence[row.name]) for row in own)
            passes = statistics.median(row.sample_passes for row in own)
            spent = [row.processor_seconds for row in own if row.processor_seconds is not None]
            seconds = statistics.median(spent) if spent else None
            lines.append((net, str(len(own)), number(seconds), number(passes), number(tokens)))
    return markdown(("architecture", "models", "processor s", "texts", "tokens"), lines)


def _tokens(evidence: Evidence) -> int:
    return sum(one.token_passes for one in evidence.outcomes.values() if isinstance(one, outcomes.Measured))
