"""The plan of a scan: how long its detectors were expected to take, and how long they took.

The worker expects and leaves out; a plan is its claim, and nothing is judged by it. What was left out has an outcome.
"""

import math

from pydantic import Field, model_validator

from gate.records.fields import Finite, is_none
from gate.records.passes import Span
from gate.records.record import Record

MOST_SECONDS = 7 * 86400
"""The longest deadline of a scan, a week."""
MOST_EXPECTED = 1e9
"""The longest time that is expected of anything, thirty years; what is longer counts as that."""
_ROOM, _ROUND = 1.25, 300
"""Factor by which an advised deadline exceeds what is expected, and the seconds to whose multiple it is rounded up."""


class Expected(Record):
    """The seconds that were expected of one detector at its turn, and those that it took."""

    least: Finite = Field(ge=0, le=MOST_EXPECTED)
    most: Finite = Field(ge=0, le=MOST_EXPECTED)
    took: Finite | None = Field(default=None, ge=0, le=MOST_EXPECTED, exclude_if=is_none)
    """None where it did not begin."""

    @model_validator(mode="after")
    def _in_order(self) -> "Expected":
        if self.least > self.most:
            raise ValueError("the least is more than the most")
        return self

    @classmethod
    def of(cls, seconds: Span, took: float | None = None) -> "Expected":
        """Return a span of seconds as a record."""
        return cls(least=min(seconds.least, MOST_EXPECTED), most=min(seconds.most, MOST_EXPECTED), took=took)

    @property
    def bound(self) -> float:
        """The longer of what was expected at most and what it took."""
        return max(self.most, self.took or 0.0)


class Plan(Record):
    """What was expected of a scan whose detectors send samples through the model."""

    whole: Expected
    """Of all detectors together, when the first began; and what they took."""
    detectors: dict[str, Expected] = Field(max_length=200)
    """By detector, of those that send samples through the model."""


def enough(seconds: float) -> int | None:
    """Return a deadline in seconds with room for so many; None where it would be longer than any may be."""
    if not seconds * _ROOM <= MOST_SECONDS:
        return None
    return max(1, math.ceil(seconds * _ROOM / _ROUND)) * _ROUND
