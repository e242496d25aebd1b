"""What a check says of each threat, in words for the report: found, looked for, not looked for, or accepted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gate.judging.threat_rates import packaged_rates
from gate.records.report import Report
from gate.records.threat import Power, Status, Threat
from gate.renderers.text import listed

WORDS: Final[dict[Status, str]] = {
    "detected": "detected",
    "not-examined": "not examined",
    "waived": "waived",
    "not-detected": "not detected",
}
"""Each status in words, in the order in which they are shown."""
MEANS: Final = (
    "Not detected is not absent. Beside it stands how many models with such a threat these rules found in the gate's "
    "own zoo of small models, with the exact interval of 95 %, and how many clean ones these detectors flagged. What "
    "one detector finds does not tell apart the threats that it looks for."
)
_ONE_OF: Final = "one or more of"
_FOUND: Final = frozenset[Status]({"detected", "waived"})
_SEEN: Final = "fit"
"""Split on which the settings were chosen."""


@dataclass(frozen=True)
class ThreatRow:
    """Threats of which the same is said."""

    titles: tuple[str, ...]
    status: Status
    word: str
    says: str


def threat_rows(report: Report) -> tuple[ThreatRow, ...]:
    """Return the threats, those first that a reader must act on; none for a check without a verdict."""
    grouped: dict[tuple[Status, str], list[str]] = {}
    for one in _known(report):
        grouped.setdefault((one.status, says(one)), []).append(one.title)
    order = list(WORDS)
    rows = [
        ThreatRow(tuple(titles), status, WORDS[status], _of_several(status, told, len(titles)))
        for (status, told), titles in grouped.items()
    ]
    return tuple(sorted(rows, key=lambda row: order.index(row.status)))


def _of_several(status: Status, told: str, threats: int) -> str:
    """Return what is said of threats together: one finding is about one of them or more, and not about each."""
    return f"{_ONE_OF} them, {told}" if status in _FOUND and threats > 1 else told


def _known(report: Report) -> tuple[Threat, ...]:
    return report.verdict.threats if report.verdict and not report.error else ()


def about_threats(report: Report) -> str:
    """Return what the words mean, and of which models the shares are; empty where no threat is shown."""
    known, threats = packaged_rates(), _known(report)
    if not threats:
        return ""
    if not any(one.power for one in threats):
        return MEANS
    classes = listed([str(number) for number in known.classes])
    chosen = (
        ", on which the settings were chosen, so that of new models fewer are found" if known.split == _SEEN else ""
    )
    return f"{MEANS} The shares are of the split {known.split} of {classes} classes{chosen}."


def says(threat: Threat) -> str:
    """Return what is known of a threat, as one line."""
    if threat.status == "detected":
        return f"by {listed(list(threat.by))}"
    if threat.status == "waived":
        return f"found by {listed(list(threat.by))}; accepted by {listed(list(threat.waived_by))} until {threat.until}"
    if threat.status == "not-examined":
        return threat.reason
    looked = f"by {listed(list(threat.by))}" if threat.by else ""
    if threat.without:
        looked = f"{looked}, without {listed(list(threat.without))}, which was skipped"
    return f"{looked}; {_power(threat.power) if threat.power else threat.power_unknown}".removeprefix("; ")


_BESIDE = {"limits": "", "within": " within one model", "bank": " beside a bank"}


def _power(power: Power) -> str:
    beside = _BESIDE[power.beside]
    low, high, most = (f"{100 * share:.0f}" for share in (power.low, power.high, power.false_alarms_at_most))
    found = f"{power.found} of {power.models} such models found{beside} ({low} to {high} %)"
    return f"{found}, {power.false_alarms} of {power.clean_models} clean ones flagged (at most {most} %)"


def in_lines(report: Report) -> Iterator[tuple[str, str]]:
    """Yield the lines of `by_status` for a report."""
    yield from by_status(_known(report))


class Told(Protocol):
    """A threat of a verdict or of a signed statement."""

    @property
    def id(self) -> str:
        """Short name."""

    @property
    def status(self) -> Status:
        """What is said of it."""

    @property
    def by(self) -> tuple[str, ...]:
        """Rules that found it, or looked for it."""


def by_status(threats: Sequence[Told]) -> Iterator[tuple[str, str]]:
    """Yield each status in words and the short names that have it, a line for each that found some; for a terminal."""
    for status, word in WORDS.items():
        grouped: dict[tuple[str, ...], list[str]] = {}
        for one in threats:
            if one.status == status:
                grouped.setdefault(one.by if status in _FOUND else (), []).append(one.id)
        for rules, names in grouped.items():
            yield word, _found_among(names, rules)


def _found_among(names: Sequence[str], rules: Sequence[str]) -> str:
    """Return short names of threats and what found them; a rule that looks for several finds one of them or more."""
    named = ", ".join(names)
    if not rules:
        return named
    return f"{f'{_ONE_OF}: ' if len(names) > 1 else ''}{named}; found by {listed(list(rules))}"
