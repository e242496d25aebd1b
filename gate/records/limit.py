"""A bound on a metric, by number of classes where it needs to be, and the base of all parts of a policy."""

from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from gate.records.record import Record

Bound = float | dict[int, float] | None
"""One number, or a table from the least number of classes to the number that applies from there on."""


class PolicyRecord(Record):
    """A part of the policy, with kebab-case keys."""

    model_config = ConfigDict(alias_generator=lambda name: name.replace("_", "-"))


class Limit(PolicyRecord):
    """A bound on a metric; a value beyond it is a finding."""

    max: Bound = None
    """Greatest allowed value, or a table from the least number of classes to it."""
    min: Bound = None
    """Least allowed value, or a table likewise."""
    source: str = Field(default="", max_length=1000)
    """Origin of the number: a paper or a measurement."""
    judges: Literal["always", "uncalibrated-only"] = "always"
    """Whether the limit also judges beside a p-value over a bank, or then only confirms."""
    together_with: dict[str, "Limit"] = Field(default_factory=dict)
    """Limits by metric id of the same detector that must be exceeded at the same location too.

    One statistic says 'unusual', another 'and by enough to matter'. An unmeasured metric never excuses anything.
    """

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.max is None and self.min is None:
            raise ValueError("a limit needs max or min")
        for table in (self.max, self.min):
            if isinstance(table, dict) and not table:
                raise ValueError("a limit's table by number of classes is empty")
        return self

    def at(self, classes: int | None) -> tuple[float | None, float | None]:
        """Return (min, max) for a model of so many classes; a bound that says nothing for it raises LookupError."""
        return _look_up(self.min, classes), _look_up(self.max, classes)

    def exceeded(self, value: float, classes: int | None) -> bool:
        """Tell whether `value` lies beyond the bound for a model of so many classes."""
        least, greatest = self.at(classes)
        return (least is not None and value < least) or (greatest is not None and value > greatest)

    def describe(self, classes: int | None) -> str:
        """Return the bound as words, such as `at most 3.9 (for 10 classes)`."""
        try:
            least, greatest = self.at(classes)
        except LookupError as error:
            return str(error)
        parts = [f"at least {least:g}"] if least is not None else []
        parts += [f"at most {greatest:g}"] if greatest is not None else []
        by_classes = isinstance(self.max, dict) or isinstance(self.min, dict)
        text = " and ".join(parts) + (f" (for {classes} classes)" if by_classes else "")
        others = [f"{metric} {limit.describe(classes)}" for metric, limit in self.together_with.items()]
        return f"{text} or {' or '.join(others)}" if others else text


def _look_up(bound: Bound, classes: int | None) -> float | None:
    if not isinstance(bound, dict):
        return bound
    keys = [key for key in bound if classes is not None and key <= classes]
    if not keys:
        raise LookupError(f"the limit's table starts at {min(bound)} classes and says nothing for {classes}")
    return bound[max(keys)]
