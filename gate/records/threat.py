"""What a check says of each threat that the gate knows, and what is known of how often such a threat is found."""

import datetime as dt
from operator import not_
from typing import Literal

from pydantic import Field

from gate.records.fields import Finite, MetricId, Text, is_none
from gate.records.record import Record

Status = Literal["detected", "not-detected", "not-examined", "waived"]
Beside = Literal["limits", "within", "bank"]


class Power(Record):
    """How many models of the gate's own zoo with such a threat these rules flagged, and how many clean ones."""

    beside: Beside
    """Whether the policy's limits judged, a p-value within the model, or one beside a bank of the task."""
    found: int = Field(ge=0)
    models: int = Field(ge=1)
    low: Finite = Field(ge=0, le=1)
    high: Finite = Field(ge=0, le=1)
    """Exact interval of 95 % for the share found (Clopper and Pearson, 1934)."""
    false_alarms: int = Field(ge=0)
    """Clean models that the same detectors flagged."""
    clean_models: int = Field(ge=1)
    false_alarms_at_most: Finite = Field(ge=0, le=1)
    """Exact one-sided bound of 95 % for their rate."""
    split: str = Field(max_length=40)
    """Split of the zoo; `fit` is the one on which the settings were chosen."""


class Threat(Record):
    """One kind of threat: found, looked for and not found, not looked for, or found and accepted by a person."""

    id: MetricId
    title: Text
    status: Status
    by: tuple[str, ...] = Field(default=(), max_length=32, exclude_if=not_)
    """Rules whose findings these are, or detectors that looked for it."""
    without: tuple[str, ...] = Field(default=(), max_length=32, exclude_if=not_)
    """Detectors that would have looked for it and were skipped, as the policy allows."""
    reason: Text = Field(default="", exclude_if=not_)
    """Why it was not examined."""
    power: Power | None = Field(default=None, exclude_if=is_none)
    power_unknown: Text = Field(default="", exclude_if=not_)
    """Why nothing is known of how often it is found."""
    waived_by: tuple[str, ...] = Field(default=(), max_length=32, exclude_if=not_)
    until: dt.date | None = Field(default=None, exclude_if=is_none)
    """Last day on which every one of the waivers holds."""
