"""The committed half of what was measured: one compact line of JSON a model, enough to judge again without a scan.

Between the cache and the tables. Numbers are rounded to six significant digits, unless that would change what the
policy finds; pictures stay in the cache. `evidence_of` rebuilds the evidence that `gate.judging.judge.judge` reads.
"""

import datetime as dt
import itertools
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from benchmarks.efficacy.scanning import Bench, State, merged, records_of
from benchmarks.zoo.store import write_whole
from gate import detectors
from gate.detectors.contract import undefined_for
from gate.judging.judge import judge
from gate.records.counts import Counts
from gate.records.evidence import Evidence, Location, Measured, Measurement
from gate.records.policy import Policy
from gate.records.record import Record, parse_json
from gate.records.verdict import Verdict

FOLDER = Path(__file__).with_name("evidence")
DIGITS = 6
ANY_DAY = dt.date(2026, 1, 1)
"""Waivers name models of a registry, never the zoo's, so the day on which the zoo is judged decides nothing."""


class Group(Record):
    """Measurements of one metric in a row, at locations of one kind."""

    kind: str | None = None
    names: int | tuple[str, ...] = 0
    """The locations' names; a number stands for 0, 1, 2, … up to it."""
    like: str = ""
    """Another metric of the outcome, whose first group has the same layers; `names` are then left out."""
    values: tuple[float, ...]
    notes: dict[str, str] = Field(default_factory=dict)
    """By place in the row, those that are not empty."""


class Outcome(Record):
    """One detector's outcome."""

    status: str
    text: str = ""
    """The reason or the error."""
    seconds: float = 0.0
    passes: int = 0
    tokens: int = 0
    """In these passes, of models of texts."""
    options: dict[str, Any] = Field(default_factory=dict)
    metrics: dict[str, tuple[Group, ...]] = Field(default_factory=dict)
    code: str = ""
    """The short digest of the detector's file when it measured."""
    counts: Counts | None = None
    """Answers to probes, where the detector counted some."""


class Summary(Record):
    """Everything about one model that is committed."""

    name: str
    evidence: dict[str, Any]
    """The evidence without outcomes, pictures and what follows from the outcomes."""
    outcomes: dict[str, Outcome]
    missing: tuple[str, ...] = ()
    """Detectors of the policy that have not been measured yet."""
    processor_seconds: float | None = None
    """Of the scans that the outcomes are from; None where it is not known of each."""

    @property
    def measured(self) -> str:
        """The digest of the model's files that were measured."""
        return str(self.evidence["manifest_digest"])


def path_of(split: str, folder: Path = FOLDER) -> Path:
    """Return the file of a split's summaries."""
    return folder / f"{split}.jsonl"


def read(path: Path) -> list[Summary]:
    """Return the summaries in a file; a missing file holds none."""
    if not path.is_file():
        return []
    first, *lines = path.read_text().splitlines()
    common = parse_json(first.encode(), what=path.name)
    values = (parse_json(line.encode(), what=path.name) for line in lines)
    return [Summary.model_validate_json(json.dumps(_with(common, value))) for value in values]


def write(path: Path, summaries: Iterable[Summary]) -> None:
    """Replace a file of summaries in one step; what most models share stands once, in the first line."""
    values = [summary.model_dump(mode="json", exclude_defaults=True) for summary in summaries]
    common = {part: _most_common([value[part] for value in values]) for part in _SHARED}
    lines = [common, *(_without(common, value) for value in values)]
    text = "".join(json.dumps(line, sort_keys=True, separators=(",", ":")) + "\n" for line in lines)
    write_whole(path, text.encode())


_SHARED = ("evidence", "outcomes")
_Plain = dict[str, Any]


def _most_common(parts: Sequence[_Plain]) -> _Plain:
    """Return for every key its most common value, where at least two have it."""
    counts: dict[str, Counter[str]] = {}
    for part in parts:
        for key, value in part.items():
            counts.setdefault(key, Counter())[json.dumps(value, sort_keys=True)] += 1
    tops = {key: counter.most_common(1)[0] for key, counter in counts.items()}
    return {key: json.loads(text) for key, (text, count) in tops.items() if count > 1}


def _without(common: _Plain, value: _Plain) -> _Plain:
    """Return a summary's value without what is common, and the names of what was taken away."""
    same = {part: [k for k, v in value[part].items() if common[part].get(k) == v] for part in _SHARED}
    rest = {part: {k: v for k, v in value[part].items() if k not in same[part]} for part in _SHARED}
    return value | rest | {"same": same}


def _with(common: _Plain, value: _Plain) -> _Plain:
    """Return what `_without` was given."""
    same = value.pop("same")
    whole = {part: value[part] | {key: common[part][key] for key in same[part]} for part in _SHARED}
    return value | whole


def summarise(bench: Bench, state: State) -> Summary | None:
    """Return the summary of what is known about a model; None where nothing is."""
    evidence = merged(bench, state)
    if evidence is None:
        return None
    code = {name: state.by_key[state.found.keys[name]].record.code.get(name, "") for name in evidence.outcomes}
    summary = compact(evidence, state.entry.name, code, DIGITS)
    if not same_findings(evidence_of(summary), evidence, bench.policy):
        summary = compact(evidence, state.entry.name, code, 17)
    spent = [record.processor_seconds for record in records_of(state)]
    known = [seconds for seconds in spent if seconds is not None]
    total = round(sum(known), 1) if len(known) == len(spent) else None
    return summary.model_copy(update={"missing": state.missing, "processor_seconds": total})


def compact(evidence: Evidence, name: str, code: Mapping[str, str], digits: int) -> Summary:
    """Return evidence as a summary with so many significant digits."""
    left_out = {"outcomes", "suspects", "pictures", "projections", "excerpts", "original", "begun_at"}
    head = evidence.model_dump(mode="json", exclude=left_out, exclude_defaults=True)
    head["seconds"] = {step: round(seconds, 1) for step, seconds in evidence.seconds.items()}
    if evidence.samples is not None and evidence.samples.accuracy is not None:
        head["samples"]["accuracy"] = _rounded(evidence.samples.accuracy, digits)
    outcomes: dict[str, Outcome] = {}
    for detector, outcome in evidence.outcomes.items():
        common = {"status": outcome.status, "options": outcome.options, "code": code.get(detector, "")}
        if isinstance(outcome, Measured):
            outcomes[detector] = Outcome(
                **common,
                seconds=round(outcome.seconds, 1),
                passes=outcome.sample_passes,
                tokens=outcome.token_passes,
                metrics=_grouped(outcome.measurements, digits),
                counts=outcome.counts,
            )
        else:
            text = outcome.reason if outcome.status == "skipped" else outcome.error
            seconds = 0.0 if outcome.status == "skipped" else round(outcome.seconds, 1)
            outcomes[detector] = Outcome(**common, text=text, seconds=seconds)
    return Summary(name=name, evidence=head, outcomes=outcomes)


def _grouped(measurements: Iterable[Measurement], digits: int) -> dict[str, tuple[Group, ...]]:
    by_metric: dict[str, list[Measurement]] = {}
    for measurement in measurements:
        by_metric.setdefault(measurement.metric, []).append(measurement)
    return _without_twins({metric: tuple(_groups(row, digits)) for metric, row in by_metric.items()})


def _without_twins(groups: dict[str, tuple[Group, ...]]) -> dict[str, tuple[Group, ...]]:
    """Return groups in which the names of layers stand once, since an adapter has dozens of long ones."""
    first: dict[tuple[str, ...], str] = {}
    found = {}
    for metric, (head, *rest) in groups.items():
        known = head.kind == "layer" and isinstance(head.names, tuple) and first.setdefault(head.names, metric)
        like = known if known and known != metric else ""
        found[metric] = (head.model_copy(update={"names": 0, "like": like}) if like else head, *rest)
    return found


def _groups(row: list[Measurement], digits: int) -> Iterable[Group]:
    for kind, part in itertools.groupby(row, key=lambda m: m.location.kind if m.location else None):
        members = list(part)
        names = tuple(m.location.name for m in members if m.location)
        counted = names == tuple(map(str, range(len(names))))
        yield Group(
            kind=kind,
            names=len(names) if counted else names,
            values=tuple(_rounded(m.value, digits) for m in members),
            notes={str(place): m.note for place, m in enumerate(members) if m.note},
        )


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def evidence_of(summary: Summary) -> Evidence:
    """Return the evidence that a summary stands for, without pictures."""
    classes = summary.evidence.get("facts", {}).get("classes")
    opened = {name: _opened(name, outcome, classes) for name, outcome in summary.outcomes.items()}
    return Evidence.model_validate(summary.evidence | {"outcomes": opened})


def _opened(name: str, outcome: Outcome, classes: int | None) -> dict[str, Any]:
    common = {"status": outcome.status, "options": outcome.options}
    if outcome.status == "skipped":
        return common | {"reason": outcome.text}
    if outcome.status == "failed":
        return common | {"error": outcome.text, "seconds": outcome.seconds}
    named = {metric: groups[0].names for metric, groups in outcome.metrics.items()}
    measurements = tuple(
        measurement
        for metric, groups in outcome.metrics.items()
        for group in groups
        for measurement in _rows(metric, group, named.get(group.like, group.names))
    )
    counted = {"counts": outcome.counts} if outcome.counts else {}
    return (
        common
        | counted
        | {
            "measurements": measurements,
            # What does not exist for so few classes follows from the declaration, and is not kept.
            "unmeasured": undefined_for(detectors.load(name).metrics, classes),
            "seconds": outcome.seconds,
            "sample_passes": outcome.passes,
            "token_passes": outcome.tokens,
        }
    )


def _rows(metric: str, group: Group, named: int | tuple[str, ...]) -> Iterable[Measurement]:
    names = tuple(map(str, range(named))) if isinstance(named, int) else named
    for place, value in enumerate(group.values):
        location = None if group.kind is None else Location.model_validate({"kind": group.kind, "name": names[place]})
        yield Measurement(metric=metric, value=value, location=location, note=group.notes.get(str(place), ""))


def same_findings(first: Evidence, second: Evidence, policy: Policy) -> bool:
    """Tell whether a policy decides alike on both and finds the same at the same places."""
    return _found(judge(first, policy, on=ANY_DAY)) == _found(judge(second, policy, on=ANY_DAY))


def _found(verdict: Verdict) -> object:
    findings = [(f.rule, f.kind, f.metric, f.location, f.message) for f in verdict.findings]
    return verdict.decision, verdict.target_classes, findings
