"""What a task will take, by what finished tasks took under the same rules.

A registered model's versions are alike as a rule, so their median is the best guess; else that of the tasks nearest in
size. Before anything is measured there is only the size, which orders tasks and promises nothing. The basis is told.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, Literal

from gate.records.artifact import ModelRef
from gate.records.fleet import FleetResult, Predicted

_NEAREST: Final = 5
_START: Final = {"files": 2.0, "behaviour": 20.0}
"""Seconds of a check of nothing, by what the policy examines: rough, for an order before the first measurement."""
_SECONDS_PER_MB: Final = {"files": 0.05, "behaviour": 5.0}


@dataclass(frozen=True)
class Known:
    """A finished task: whose versions it was about, how large they are, and how long it took."""

    models: frozenset[str]
    size_bytes: int
    seconds: float


def known_of(results: Iterable[FleetResult], policy_digest: str) -> list[Known]:
    """Return what finished tasks of a policy teach: those with a verdict that one attempt reached by itself."""
    return [
        Known(frozenset({ModelRef.parse(one.version).name}), one.size_bytes, one.seconds)
        for one in results
        if one.judged and one.policy_digest == policy_digest and not one.resumed and one.seconds > 0
    ]


def predict(
    models: Iterable[str], size_bytes: int, known: Sequence[Known], examines: Literal["behaviour", "files"]
) -> Predicted:
    """Return what a check of bytes of this size, of versions of these registered models, is expected to take."""
    own = frozenset(models)
    of_model = [one.seconds for one in known if one.models & own]
    if of_model:
        return Predicted(seconds=median(of_model), basis="model", beside=len(of_model))
    if known:
        nearest = sorted(known, key=lambda one: abs(math.log1p(one.size_bytes) - math.log1p(size_bytes)))[:_NEAREST]
        return Predicted(seconds=median(one.seconds for one in nearest), basis="size", beside=len(nearest))
    return Predicted(seconds=_START[examines] + size_bytes / 1e6 * _SECONDS_PER_MB[examines], basis="guess")
