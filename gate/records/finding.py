"""A finding: what stands against approval, or what an exceeded limit that only confirms says."""

from enum import StrEnum
from typing import Final, Literal

from gate.records.evidence import Location
from gate.records.limit import Limit
from gate.records.policy import Waiver
from gate.records.record import Record

BEHAVIOUR: Final = "behaviour"
"""Rule of the one finding on a model whose behaviour no detector examines."""
REVIEW: Final = "review"
"""Rule of a reviewer's rejection of the bytes, which is shown as a finding and judged by no policy."""


class Decision(StrEnum):
    """The two decisions."""

    APPROVED = "approved"
    FLAGGED = "flagged"


class Finding(Record):
    """An exceeded limit, something not measured, or a broken condition of the check."""

    rule: str
    """The detector's id, or what was judged: model, samples, scan, policy, assurance, isolation, calibration."""
    kind: Literal["limit", "silence", "condition"]
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
