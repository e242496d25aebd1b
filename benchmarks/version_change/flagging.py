"""How many updates the packaged policy's limits flag; after `measuring`.

A ratio above one is larger than in each of the earlier changes, which the limit of its rank asks for: with five of them
the two limits that stand together come to the ratio's alone.
"""

from collections.abc import Iterator, Sequence

from benchmarks.efficacy.tables import exact_share
from benchmarks.version_change.measuring import Row
from gate.policies.packaged import DEFAULT
from gate.policies.read import read_policy
from gate.records.clock import today

ID, EITHER = "version-change", "either"
RANKS = {"first-share-rank": "first-share-ratio", "probe-gain-rank": "probe-gain-ratio"}
"""Metrics whose limits judge, and those that are judged together with them."""
WORKS = 0.6
"""Attack success from which an update is told apart as one whose backdoor works."""


def flagged(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a line a limit, and one for either, with exact intervals; poisoned updates also where they work."""
    clean, poisoned = ([row for row in rows if bool(row["targets"]) is bad] for bad in (False, True))
    working = [row for row in poisoned if row["attack_success"] >= WORKS]
    limits = _limits()
    ways = {f"{metric} above {limit:g}": {metric: limit} for metric, limit in limits.items()} | {EITHER: limits}
    for name, way in ways.items():
        parts = (("clean", clean), ("poisoned", poisoned), (f"of success from {WORKS:g}", working))
        yield f"{name}: " + "; ".join(f"{what} {_share(found, way)}" for what, found in parts)


def _limits() -> dict[str, float]:
    rules, found = read_policy(DEFAULT, on=today()).detectors[ID].limits, {}
    for rank, ratio in RANKS.items():
        _, greatest = rules[rank].together_with[ratio].at(None)
        if greatest is None:
            raise ValueError(f"expected the packaged policy to bound {ratio} from above")
        found[ratio] = greatest
    return found


def _share(rows: Sequence[Row], way: dict[str, float]) -> str:
    hits = sum(any(row["values"][metric] > limit for metric, limit in way.items()) for row in rows)
    return exact_share(hits, len(rows))
