"""The comparison of what two states wrote of one model: pure functions over parsed JSON.

Every value has a path that begins with its unit: a detector, `scan` for what is of no detector, `verdict` or `report`.
Members of a list are named by what they are about (a metric and a class, say) and else by their number, so that a
difference reads `neural-cleanse/outcome/measurements/size class 7/value`. Numbers are compared exactly.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

Document = dict[str, Any]
Values = dict[str, Any]
"""Single values by path, members of lists in their order."""

ABSENT = "(absent)"

TIME_AND_PLACE = (
    "*/seconds",
    "scan/begun_at",
    "scan/plan",
    "scan/versions",
    "scan/gate_version",
    "scan/bundle/torch",
    "scan/bundle/pinned",
    "scan/model/name",
    "scan/samples/source",
    "scan/worker_user",
    "scan/policy_digest",
    "verdict/evidence_digest",
    "verdict/policy_digest",
)
"""What may differ between two scans of the same by the same: seconds, those expected too, versions, paths, and digests
over those."""

_BUNDLE_DIGESTS = ("scan/bundle_digest", "verdict/bundle_digest")
_VERSIONS = (("gate_version",), ("versions",), ("bundle", "pinned"))
_OF_REPORT = ("coverage", "not_examined", "error", "what_to_do")
_SHARED_OUT = frozenset({"outcomes", "original", "pictures", "suspects"})
_NAMING = ("rule", "kind", "stage", "detector", "metric", "role", "method", "name", "path", "caption")


@dataclass(frozen=True)
class Seen:
    """What one state wrote of a model."""

    evidence: Document
    verdict: Document
    report: Document


@dataclass(frozen=True)
class Difference:
    """A value that is not the same, by its path."""

    path: str
    earlier: Any
    later: Any


@dataclass(frozen=True)
class Unit:
    """One detector, or one other part, of a comparison."""

    name: str
    values: int
    differences: tuple[Difference, ...]


def compare(earlier: Seen, later: Seen, patterns: Sequence[str]) -> tuple[list[Unit], Counter[str]]:
    """Return the units with their differences, and how many values each pattern took away on the two sides together."""
    taken: Counter[str] = Counter()
    before, now = (without(flat(units(side)), patterns, taken) for side in (earlier, later))
    names = dict.fromkeys(path.split("/", 1)[0] for path in (*before, *now))
    return [_unit(name, _of(name, before), _of(name, now)) for name in names], taken


def patterns_for(earlier: Seen, later: Seen, lost: Iterable[str], given: Iterable[str] = ()) -> list[str]:
    """Return the patterns of what is not compared: time and place, detectors that one side lacks, and what is given.

    The bundle's bytes name the gate and the packages it pins, so that its digest is compared where those are the same.
    """
    same = all(_at(earlier.evidence, keys) == _at(later.evidence, keys) for keys in _VERSIONS)
    of_lost = [pattern for name in lost for pattern in (name, f"verdict/*/{name}*", f"report/*/*{name}*")]
    return [*TIME_AND_PLACE, *(() if same else _BUNDLE_DIGESTS), *of_lost, *given]


def units(seen: Seen) -> Document:
    """Return everything that is compared, by unit; pictures and suspects stand with their detector."""
    evidence = seen.evidence
    found: dict[str, Document] = {"scan": {key: value for key, value in evidence.items() if key not in _SHARED_OUT}}
    for part in ("outcomes", "original"):
        for name, outcome in evidence.get(part, {}).items():
            found.setdefault(name, {})["outcome" if part == "outcomes" else part] = outcome
    for part in ("pictures", "suspects"):
        for member in evidence.get(part, ()):
            found.setdefault(member["detector"], {}).setdefault(part, []).append(member)
    report = {key: seen.report[key] for key in _OF_REPORT if key in seen.report}
    return {**found, "verdict": seen.verdict, "report": report}


def flat(value: Any, path: str = "") -> Values:
    """Return single values by path; an empty list or object is as if it were absent."""
    if not isinstance(value, dict | list):
        return {path: value}
    members = sorted(value.items()) if isinstance(value, dict) else _named(value)
    return {
        below: single
        for name, member in members
        for below, single in flat(member, f"{path}/{name}".lstrip("/")).items()
    }


def without(values: Values, patterns: Sequence[str], taken: Counter[str]) -> Values:
    """Return the values that no pattern matches, whole or by what they stand below; count those that one does."""
    kept = {}
    for path, value in values.items():
        pattern = next((one for one in patterns if fnmatchcase(path, one) or fnmatchcase(path, f"{one}/*")), None)
        if pattern is None:
            kept[path] = value
        else:
            taken[pattern] += 1
    return kept


def _named(members: list[Any]) -> Iterator[tuple[str, Any]]:
    met: Counter[str] = Counter()
    for index, member in enumerate(members):
        name = _name(member) or str(index)
        met[name] += 1
        yield name if met[name] == 1 else f"{name} ({met[name]})", member


def _name(member: Any) -> str:
    """Return what a member of a list is about, or nothing."""
    if isinstance(member, str):
        return member
    if not isinstance(member, dict):
        return ""
    words = [str(member[key]) for key in _NAMING if isinstance(member.get(key), str | int) and member[key] != ""]
    location = member.get("location")
    return " ".join([*words, *([f"{location['kind']} {location['name']}"] if location else [])])


def _unit(name: str, earlier: Values, later: Values) -> Unit:
    paths = dict.fromkeys((*earlier, *later))
    # By their text: in JSON 0 and 0.0 are two values, and so are 1 and true.
    differences = [
        Difference(path, earlier.get(path, ABSENT), later.get(path, ABSENT))
        for path in paths
        if repr(earlier.get(path, ABSENT)) != repr(later.get(path, ABSENT))
    ]
    return Unit(name, len(paths), (*differences, *_order(earlier, later)))


def _order(earlier: Values, later: Values) -> Iterator[Difference]:
    """Yield the first place where members that both have stand in another order."""
    orders = ([path for path in earlier if path in later], [path for path in later if path in earlier])
    for one, other in zip(*orders, strict=True):
        if one != other:
            yield Difference("the order of a list", one, other)
            return


def _of(name: str, values: Values) -> Values:
    return {path: value for path, value in values.items() if path.split("/", 1)[0] == name}


def _at(document: Mapping[str, Any], keys: Sequence[str]) -> Any:
    found: Any = document
    for key in keys:
        found = (found or {}).get(key)
    return found
