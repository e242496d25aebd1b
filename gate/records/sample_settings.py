"""Which clean samples the policy asks for, for every model and by registered model, and how they are to be read."""

import hashlib
import json
from typing import Literal, Self

from pydantic import Field, model_validator

from gate.records.class_names import StatedNames
from gate.records.limit import PolicyRecord

_LEAST_PER_CLASS = 2
"""Two tell a class from one picture; detectors take what there is beyond."""


class SampleSettings(PolicyRecord):
    """Which clean samples go with the model and how they are to be read; None means not stated."""

    uri: str | None = None
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    bounds: tuple[float, float] | None = None
    """Least and greatest value of the stored inputs; without it [0, 255] for uint8 and [0, 1] for floats."""
    layout: Literal["NCHW", "NHWC", "NHW"] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    """The model is given (x - mean) / std by channel, in the stored inputs' own units."""
    min_accuracy: float | None = Field(default=None, ge=0, le=1)
    """Least share of samples that the model must get right, else the evidence is not believed."""
    output: str | None = Field(default=None, min_length=1, max_length=200, exclude_if=lambda value: value is None)
    """Of a model with several outputs the one that production uses, by the name that the report gives it."""
    unexamined_outputs: tuple[str, ...] | None = Field(
        default=None, max_length=64, exclude_if=lambda value: value is None
    )
    """Names of outputs that may stay unexamined, because production takes no decision from them, such as features."""
    classes: StatedNames | None = Field(default=None, exclude_if=lambda value: value is None)
    """What the classes are called, in reports: a list, or names by index. Shown, and judged by nothing."""
    labels: Literal["required", "waived"] | None = Field(default=None, exclude_if=lambda value: value is None)
    """Whether samples must have labels, as they must where nothing is stated. Waived: nothing then guards against a
    preprocessing mismatch."""
    least_per_class: int | None = Field(default=None, ge=1, le=100_000, exclude_if=lambda value: value is None)
    """So many different samples of each class that occurs there must be; 2 where nothing is stated."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.bounds is not None and not self.bounds[0] < self.bounds[1]:
            raise ValueError("bounds must be [least, greatest]")
        if (self.mean is None) != (self.std is None) or (self.std is not None and min(self.std) <= 0):
            raise ValueError("mean and std go together, and std is above zero")
        return self

    @property
    def reading(self) -> str:
        """The digest of what decides which numbers the model is given, and which of its own are looked at."""
        stated = self.model_dump(mode="json", include={"bounds", "layout", "mean", "std", "output"})
        return hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()

    @property
    def least_of_each_class(self) -> int:
        """How many different samples of each class that occurs there must be."""
        return _LEAST_PER_CLASS if self.least_per_class is None else self.least_per_class


class SamplesPolicy(SampleSettings):
    """The settings for every model, and what differs by registered model."""

    models: dict[str, SampleSettings] = Field(default_factory=dict)

    def of(self, model_name: str) -> SampleSettings:
        """Return the settings for a registered model: its own entry over the common ones."""
        common = self.model_dump(exclude={"models"}, exclude_none=True)
        own = self.models.get(model_name, SampleSettings()).model_dump(exclude_none=True)
        return SampleSettings(**{**common, **own})
