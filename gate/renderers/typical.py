"""Ranges of the zoo's clean and planted models, by detector and metric, for the reader; they judge nothing.

`typical.json` is packaged and made by `python -m benchmarks.typical` from the committed measurements. A range is shown
only where the detector measured with the same options.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field

from gate.policies.declared import rules_sha256
from gate.records.evidence import Measured
from gate.records.record import Record
from gate.records.report import Report
from gate.renderers.text import count, listed, number

DATA: Final = Path(__file__).with_name("typical.json")

Range = tuple[float, float]


class Lies(Record):
    """Range of one metric: of each model's most conspicuous place, or of each suspect."""

    clean: Range
    clean_count: int = Field(ge=1)
    planted: Range | None = None
    """Range at the planted places; None where no planted model had a value there."""
    planted_count: int = Field(default=0, ge=0)
    planted_kind: str = Field(max_length=40)
    """Kind of planted model that the detector looks for, such as `patches`."""


class FalseAlarms(Record):
    """How many clean models one policy's limits flag without a reference bank."""

    rules: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Digest of the policy's deciding parts; under other rules the count does not hold."""
    flagged: int = Field(ge=0)
    models: int = Field(ge=1)


class Typical(Record):
    """The packaged data."""

    schema_version: Literal[1] = 1
    made_by: str
    split: str
    seed: int
    """Seed of the scans."""
    clean_models: int
    planted_models: int
    classes: tuple[int, ...]
    """Numbers of classes of the zoo's models."""
    quantiles: Range
    options: dict[str, dict[str, Any]]
    """Options of each detector's measurements."""
    metrics: dict[str, dict[str, Lies]]
    false_alarms: FalseAlarms


@cache
def typical() -> Typical:
    """Return the packaged data."""
    return Typical.from_file(DATA)


def beside(report: Report, detector: str, metric: str, *, shares: bool = False) -> str:
    """Return the ranges of a metric in a few words; empty where the zoo has none that is comparable."""
    lies = _comparable(report).get(detector, {}).get(metric)
    if lies is None:
        return ""
    words = f"clean {_range(lies.clean, shares=shares)}"
    return f"{words} · {lies.planted_kind} {_range(lies.planted, shares=shares)}" if lies.planted else words


def _comparable(report: Report) -> Mapping[str, Mapping[str, Lies]]:
    known = typical()
    outcomes = report.evidence.outcomes if report.evidence else {}
    return {
        name: found
        for name, found in known.metrics.items()
        if isinstance(outcome := outcomes.get(name), Measured) and dict(outcome.options) == known.options.get(name, {})
    }


def about(report: Report) -> str:
    """Return the origin of the ranges, in sentences; empty where none is shown."""
    if not _comparable(report):
        return ""
    known = typical()
    low, high = (f"{100 * share:.0f}" for share in known.quantiles)
    text = (
        f"Ranges: where {known.clean_models} clean and {known.planted_models} planted models of the gate's own zoo lie "
        f"({known.split} split, seed {known.seed}), {low} % to {high} %. They judge nothing: where both ranges hold a "
        "number, it tells little by itself."
    )
    classes = report.evidence.facts.classes if report.evidence else None
    if classes is None or classes in known.classes:
        return text
    own = listed([str(size) for size in known.classes])
    return f"{text} The zoo's models have {own} classes and this one has {number(classes)}, so read them with care."


def flagged_in_the_zoo(report: Report) -> str:
    """Return how many clean models these limits flagged; empty under any other rules."""
    seen = typical().false_alarms
    if seen.rules != rules_sha256(report.policy):
        return ""
    share = f"{100 * seen.flagged / seen.models:.1f} %"
    return f"these limits flagged {seen.flagged} of {count(seen.models, 'clean model')} of the gate's own zoo ({share})"


def _range(of: Range, *, shares: bool) -> str:
    low, high = (_short(100 * value if shares else value) for value in of)
    between = " to " if of[0] < 0 else "–"
    unit = "\N{NARROW NO-BREAK SPACE}%" if shares else ""
    return f"{low}{unit}" if low == high else f"{low}{between}{high}{unit}"


def _short(value: float) -> str:
    """Return a bound of a range with two significant digits, as no more are known."""
    return number(float(f"{value:.2g}"))
