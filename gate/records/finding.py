"""A finding: what stands against approval, or what a limit that does not judge has to say.

Below the judge and above evidence and policy; the report shows every finding as it is.
"""

from enum import StrEnum
from typing import Final, Literal

from gate.records.evidence import Location
from gate.records.limit import Limit
from gate.records.policy import Waiver
from gate.records.record import Record

BEHAVIOUR: Final = "behaviour"
"""Rule of the one finding on a model whose behaviour no detector examines."""


class Decision(StrEnum):
    """The two words."""

    APPROVED = "approved"
    FLAGGED = "flagged"


class Finding(Record):
    """A broken limit or a silence."""

    rule: str
    """The detector's id, or what was judged: model, samples, scan, policy, assurance, isolation, calibration."""
    kind: Literal["limit", "silence", "condition"]
    """A limit exceeded; something not measured; a condition of the check itself that does not hold."""
    message: str
    metric: str | None = None
    location: Location | None = None
    value: float | None = None
    limit: Limit | None = None
    waiver: Waiver | None = None

    @property
    def waived(self) -> bool:
        """Whether a waiver covers it."""
        return self.waiver is not None
