"""The clean samples that the policy names, for every model and by registered model, and how they are read."""

import hashlib
import json
from typing import Final, Literal, Self

from pydantic import Field, model_validator

from gate.records.class_names import StatedNames
from gate.records.fields import Sha256, is_none
from gate.records.limit import PolicyRecord

MOST_TOKENS: Final = 512
"""Tokens of a text that a model is given where neither it nor the policy takes fewer."""


class SampleSettings(PolicyRecord):
    """The clean samples of a model and how they are read; None means not stated."""

    uri: str | None = None
    """Location of the samples: a file or folder, or an artifact of the registry."""
    sha256: Sha256 | None = None
    """Digest that the samples must have."""
    bounds: tuple[float, float] | None = None
    """Least and greatest value of the stored inputs; without it [0, 255] for uint8 and [0, 1] for floats."""
    layout: Literal["NCHW", "NHWC", "NHW"] | None = None
    """Order of the stored inputs' axes: samples N, channels C, rows H, columns W."""
    mean: tuple[float, ...] | None = None
    """Mean by channel in the stored units; the model is given (x - mean) / std."""
    std: tuple[float, ...] | None = None
    """Standard deviation by channel, likewise."""
    max_tokens: int | None = Field(default=None, ge=1, le=100_000, exclude_if=is_none)
    """Most tokens of a text that are judged, and to which the bundle cuts; without it the model's own, at most 512."""
    min_accuracy: float | None = Field(default=None, ge=0, le=1)
    """Least share of samples that the model must get right; below it, the check flags."""
    output: str | None = Field(default=None, min_length=1, max_length=200, exclude_if=is_none)
    """Name, as in the report, of the output that production uses, if there are several."""
    unexamined_outputs: tuple[str, ...] | None = Field(default=None, max_length=64, exclude_if=is_none)
    """Names of outputs that production takes no decision from and that may stay unexamined."""
    classes: StatedNames | None = Field(default=None, exclude_if=is_none)
    """Class names for reports: a list, or names by index. Only shown, never judged by."""
    labels: Literal["required", "waived"] | None = Field(default=None, exclude_if=is_none)
    """Whether samples must have labels (the default). Without, nothing guards against wrong preprocessing."""
    least_per_class: int | None = Field(default=None, ge=1, le=100_000, exclude_if=is_none)
    """Least number of different samples of each class that occurs; 2 where nothing is stated."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.bounds is not None and not self.bounds[0] < self.bounds[1]:
            raise ValueError("bounds must be [least, greatest]")
        if (self.mean is None) != (self.std is None) or (self.std is not None and min(self.std) <= 0):
            raise ValueError("mean and std go together, and std is above zero")
        return self

    @property
    def reading(self) -> str:
        """The digest of the settings that decide the model's input and which of its outputs is examined."""
        stated = self.model_dump(mode="json", include={"bounds", "layout", "mean", "std", "output", "max_tokens"})
        return hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()

    def longest(self, own: int) -> int:
        """Return the most tokens of a text that are judged and served, of a model that takes so many itself."""
        return min(own, self.max_tokens or MOST_TOKENS)

    @property
    def least_of_each_class(self) -> int:
        """The least number of different samples of each class that occurs."""
        return self.least_per_class or 2  # two tell a class from a single picture


class SamplesPolicy(SampleSettings):
    """The settings for every model, and differences by registered model."""

    models: dict[str, SampleSettings] = Field(default_factory=dict)
    """Settings of single registered models by name, in place of the common ones."""

    def of(self, model_name: str) -> SampleSettings:
        """Return the settings for a registered model: its own entry over the common ones."""
        common = self.model_dump(exclude={"models"}, exclude_none=True)
        own = self.models.get(model_name, SampleSettings()).model_dump(exclude_none=True)
        return SampleSettings(**{**common, **own})
