"""A candidate beside a bank's models, in plain finite values: its score, theirs, what drives it, and whether it is one.

Part of `evidence.json`, near the ground. The orchestrator works it out from what the workers measured and what the bank
holds (`gate.judging.calibration`); `gate.judging.judge` alone says what follows from it, under the policy's level.
"""

from typing import Annotated, Literal

from pydantic import Field

from gate.records.record import Record

Finite = Annotated[float, Field(allow_inf_nan=False)]
Text = Annotated[str, Field(max_length=2000)]
FEWEST_PLACES_TO_CENTRE = 5
"""Classes without which a model's own level cannot be told from what is odd about one of them."""


class Surprise(Record):
    """How far one statistic of the candidate lies beyond the bank's models at one place."""

    detector: str
    metric: str
    variant: str = ""
    """How it was compared, such as `relative` to the model's other classes."""
    kind: Literal["class", "pair"] | None = None
    name: Text = ""
    """Of the class or pair; empty for the whole model."""
    surprise: Finite

    def __str__(self) -> str:
        what = f"{self.detector} {self.metric}{f' ({self.variant})' if self.variant else ''}"
        return f"{what} at {self.kind} {self.name}" if self.kind else what


class PlaceScore(Record):
    """What all statistics say together of one class, or one of them of the whole model."""

    kind: Literal["class", "pair"] | None = None
    name: Text = ""
    score: Finite
    because: tuple[Surprise, ...] = Field(min_length=1, max_length=8)
    """The statistics that stand out most there, the greatest first."""

    def __str__(self) -> str:
        named = [f"{one.detector} {one.metric}" for one in self.because]
        where = f" at {self.kind} {self.name}" if self.kind else ""
        return (", ".join(named[:-1]) + " and " + named[-1] if len(named) > 1 else named[0]) + where


class Trait(Record):
    """Accuracy or a norm of the candidate beside the bank's range of it."""

    name: str
    value: Finite | None
    """None where it was not measured on the candidate, though on the bank's models."""
    least: Finite
    greatest: Finite
    room: Finite = Field(default=0.0, ge=0)
    """By so much the range is widened at least, however alike the bank's models are."""

    def within(self, margin: float) -> bool:
        """Tell whether the value lies in the range, widened on both sides by this share of it."""
        room = max(self.room, margin * (self.greatest - self.least))
        return self.value is not None and self.least - room <= self.value <= self.greatest + room


class Comparison(Record):
    """A candidate's score among those of the bank's models, each compared with all the others."""

    kind: Literal["per-class", "scale-free"]
    """Class by class on the same task, or by ratios within each model where the bank is of another one."""
    unusable: Text = ""
    """Why nothing could be compared; then there are no scores."""
    score: Finite = 0.0
    bank_scores: tuple[Finite, ...] = Field(default=(), max_length=10_000)
    """Those of the bank's models, the greatest first."""
    predictive_p: Finite = Field(default=1.0, ge=0, le=1)
    """By t distributions over sizes alone; where the bank is too small for ranks it judges if the policy says so."""
    predictive: tuple[Surprise, ...] = Field(default=(), max_length=64)
    """The greatest surprises that this p is made of, in nats over all its statistics: p is exp(-surprise)."""
    surprises: tuple[Surprise, ...] = Field(default=(), max_length=64)
    """The candidate's greatest, each statistic by itself."""
    places: tuple[PlaceScore, ...] = Field(default=(), max_length=64)
    """The candidate's greatest, all statistics together; the first one is the score."""
    detectors: tuple[str, ...] = ()
    """Those whose statistics are in the score."""
    predicting: tuple[str, ...] = ()
    """Those whose statistics are in `predictive_p`."""
    traits: tuple[Trait, ...] = ()

    @property
    def models(self) -> int:
        """How many models of the bank the candidate was compared with."""
        return len(self.bank_scores)

    @property
    def p_value(self) -> float:
        """(1 + number of bank scores at or above the candidate's) / (n + 1); ties count as above."""
        return (1 + sum(score >= self.score for score in self.bank_scores)) / (self.models + 1)

    @property
    def least_p(self) -> float:
        """The smallest p-value that so many models can give."""
        return 1 / (self.models + 1)
