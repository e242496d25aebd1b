"""A candidate among a bank's models: its score, theirs, and what drives it; `gate.judging.judge` draws conclusions."""

from collections.abc import Sequence
from operator import not_
from typing import Literal

from pydantic import Field

from gate.records.declarations import Within
from gate.records.fields import Finite, Text, is_none
from gate.records.record import Record

FEWEST_PLACES_TO_CENTRE = 5
"""With fewer classes, a model's own level cannot be told from what is odd about one of them."""


class OneNumber(Record):
    """A statistic that stands for a whole model: the worst class's value of a metric, compared within the model."""

    detector: str
    metric: str
    worse: Literal["higher", "lower"]
    by: Within
    """Scale of the comparison with the median class; `linear`: the value itself."""

    def __str__(self) -> str:
        return f"{self.detector} {self.metric}"


class Surprise(Record):
    """How far one statistic of the candidate lies beyond the bank's models at one place."""

    detector: str
    metric: str
    variant: str = ""
    """Way of comparison, such as `relative` to the model's other classes."""
    kind: Literal["class", "pair", "layer"] | None = None
    name: Text = ""
    """Name of the class, pair or layer; empty for the whole model."""
    surprise: Finite

    def __str__(self) -> str:
        what = f"{self.detector} {self.metric}{f' ({self.variant})' if self.variant else ''}"
        return f"{what} at {self.kind} {self.name}" if self.kind else what


def told(probe: str, place: str, share: float, others: float) -> str:
    """Return what a probe does at a class, or from a source to a class, and what it does at most in clean models."""
    source, _, target = place.rpartition("→")
    who = f"class {source}" if source else "other classes' samples"
    return f"{probe}: sends {share:.0%} of {who} to class {target}; clean models at most {others:.0%}"


class CellSurprise(Record):
    """One probe whose samples the candidate sends to a class more often than the bank's models do."""

    detector: str
    metric: str
    """The statistic that it is part of."""
    kind: Literal["class", "pair"]
    name: Text
    """Name of the class, or of source and class."""
    probe: Text
    """What the probe does."""
    share: Finite = Field(ge=0, le=1)
    """Share of the samples of the other classes, or of the source, that go there."""
    others: Finite = Field(ge=0, le=1)
    """Greatest such share of the bank's models."""
    surprise: Finite
    """Deviations of its log-odds above the mean of the bank's models."""

    @property
    def target(self) -> str:
        """Name of the class that samples are sent to."""
        return self.name.rpartition("→")[2]

    def __str__(self) -> str:
        return told(self.probe, self.name, self.share, self.others)


class PlaceScore(Record):
    """Score of all statistics together at one class, or of one statistic of the whole model."""

    kind: Literal["class", "pair", "layer"] | None = None
    name: Text = ""
    score: Finite
    because: tuple[Surprise, ...] = Field(min_length=1, max_length=8)
    """The statistics that stand out most there, greatest first."""

    def __str__(self) -> str:
        named = [f"{one.detector} {one.metric}" for one in self.because]
        where = f" at {self.kind} {self.name}" if self.kind else ""
        return (", ".join(named[:-1]) + " and " + named[-1] if len(named) > 1 else named[0]) + where


class Trait(Record):
    """Accuracy or a norm of the candidate, and the bank's range of it."""

    name: str
    value: Finite | None
    """Value of the candidate; None where only the bank's models were measured."""
    least: Finite
    greatest: Finite
    room: Finite = Field(default=0.0, ge=0)
    """Least amount by which the range is widened, even if the bank's models are alike."""

    def within(self, margin: float) -> bool:
        """Tell whether the value lies in the range, widened on both sides by this share of it."""
        room = max(self.room, margin * (self.greatest - self.least))
        return self.value is not None and self.least - room <= self.value <= self.greatest + room


class Pooled(Record):
    """Scores of clean models of other tasks that may be added to those of a bank."""

    made_of: Text
    scores: tuple[Finite, ...] = Field(max_length=10_000)
    """Greatest first."""
    alike: Finite = Field(ge=0, le=1)
    """P-value of a test that the bank's models score higher than these."""


class Comparison(Record):
    """A candidate's score among those of the bank's models, each compared with all the others."""

    kind: Literal["per-class", "scale-free", "within"]
    """Class by class on the same task; for a bank of another task, by ratios within each model. `within`: beside no
    bank, by one number of each statistic, among clean models of other tasks that come with the gate."""
    unusable: Text = ""
    """Reason why nothing could be compared; then there are no scores."""
    score: Finite = 0.0
    bank_scores: tuple[Finite, ...] = Field(default=(), max_length=10_000)
    """Scores of the bank's models, greatest first."""
    pooled: Pooled | None = Field(default=None, exclude_if=is_none)
    """Scores of models of other tasks by the same statistics and settings, where the gate comes with some."""
    predictive_p: Finite | None = Field(default=None, ge=0, le=1)
    """P-value by t distributions over sizes alone, for banks too small for ranks; None where no size was compared."""
    predictive: tuple[Surprise, ...] = Field(default=(), max_length=64)
    """Greatest surprises behind that p-value, in nats over all its statistics: p is exp(-surprise)."""
    surprises: tuple[Surprise, ...] = Field(default=(), max_length=64)
    """Greatest surprises of the candidate, each statistic by itself."""
    places: tuple[PlaceScore, ...] = Field(default=(), max_length=64)
    """Greatest scores of the candidate's places, all statistics together; the first is the score."""
    cells: tuple[CellSurprise, ...] = Field(default=(), max_length=64, exclude_if=not_)
    """The most telling probe of each statistic's most telling places, those first."""
    secret_probes: int = Field(default=0, ge=0, exclude_if=not_)
    """Number of secret probes that were compared beside the fixed ones."""
    without_secret: Text = Field(default="", exclude_if=not_)
    """Why secret probes of the candidate or the bank were not compared, as part of a sentence."""
    detectors: tuple[str, ...] = ()
    """Detectors whose statistics are in the score; of an earlier gate, beside a bank of another task, also such as no
    ratio within the model could be compared of."""
    statistics: tuple[str, ...] = Field(default=(), max_length=200, exclude_if=not_)
    """Those statistics, as detector and metric; not told by an earlier gate."""
    predicting: tuple[str, ...] = ()
    """Detectors whose statistics are in `predictive_p`."""
    traits: tuple[Trait, ...] = ()

    @property
    def models(self) -> int:
        """The number of bank models that the candidate was compared with."""
        return len(self.bank_scores)

    def p_beside(self, scores: Sequence[float]) -> float:
        """(1 + number of these scores at or above the candidate's) / (n + 1); ties count as above."""
        return (1 + sum(score >= self.score for score in scores)) / (len(scores) + 1)

    @property
    def p_value(self) -> float:
        """The p-value by rank among the bank's models alone."""
        return self.p_beside(self.bank_scores)
