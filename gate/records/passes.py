"""Passes: how many samples a detector sends through the model, and how long that takes at a measured speed.

Texts are counted by their tokens, since some are a hundred times as long as others; images each count once.
"""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Span:
    """A number of which the least and the most are known; neither is negative."""

    least: float = 0.0
    most: float = 0.0

    @classmethod
    def exactly(cls, value: float) -> Self:
        """Return the span of one number."""
        return cls(value, value)

    @classmethod
    def up_to(cls, most: float) -> Self:
        """Return the span from nothing."""
        return cls(0.0, most)

    def __add__(self, other: "Span") -> "Span":
        return Span(self.least + other.least, self.most + other.most)

    def times(self, factor: float) -> "Span":
        """Return both ends times a number that is not negative."""
        return Span(self.least * factor, self.most * factor)

    def after(self, done: float) -> "Span":
        """Return what is left when so much is done."""
        return Span(max(0.0, self.least - done), max(0.0, self.most - done))


@dataclass(frozen=True)
class Speed:
    """How long one sample takes, or one token of a text, in seconds."""

    forward: float
    """Without gradients."""
    slopes: float
    """Forward, and the way back to pixels or embeddings."""

    def quickest(self, other: "Speed") -> "Speed":
        """Return the shorter time of each."""
        return Speed(min(self.forward, other.forward), min(self.slopes, other.slopes))


@dataclass(frozen=True)
class Passes:
    """The samples, or the tokens of texts, that a detector sends through the model."""

    forward: Span = Span()
    """Samples without gradients."""
    slopes: Span = Span()
    """Samples with gradients to pixels or embeddings, each of which counts once."""
    alone: bool = True
    """Whether the detector does little else, so that the time it takes shows the model's speed."""

    def __add__(self, other: "Passes") -> "Passes":
        return Passes(self.forward + other.forward, self.slopes + other.slopes, self.alone and other.alone)

    @property
    def samples(self) -> Span:
        """All samples, as evidence counts them."""
        return self.forward + self.slopes

    @property
    def perhaps(self) -> "Passes":
        """The same where it is not known whether the detector runs at all."""
        return Passes(Span.up_to(self.forward.most), Span.up_to(self.slopes.most), self.alone)

    def seconds(self, speed: Speed) -> Span:
        """Return how long they take."""
        return self.forward.times(speed.forward) + self.slopes.times(speed.slopes)

    def mostly_slopes(self, speed: Speed) -> bool:
        """Tell whether passes with gradients take most of the time."""
        return self.slopes.most * speed.slopes >= self.forward.most * speed.forward


NO_PASSES = Passes()
"""What a detector without passes needs of the model: nothing that takes time."""
