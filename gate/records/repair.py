"""A repair's task, its result, and the measures by which it *holds*.

A worker's result is hostile until its schema has been checked. A repair that holds is worth a scan; only the gate's own
scan of the repaired model decides.
"""

from collections.abc import Collection, Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from gate.records.evidence import Location, Picture
from gate.records.fields import Finite, Text
from gate.records.record import Record

REPAIRED_FILE = "repaired.pt2"
"""A repair worker's program: hostile bytes, only for the strict reader."""
REPAIR_FILE = "repair.json"

MAX_PLACES = 2000
MAX_REPAIR_PICTURES = 16

LEAST_SAMPLES = 50
LEAST_PER_CLASS = 2
"""Fewest clean, labelled samples for a repair and its measures."""

NORMAL_95 = 1.96
"""Half the width of the 95 % interval in standard errors."""

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Places = Annotated[dict[str, Share], Field(max_length=MAX_PLACES)]


class RepairMeasures(Record):
    """Accuracy of a model on held-out clean samples, and success of triggers on it."""

    accuracy: Share
    accuracy_low: Share
    """Lower end of Wilson's 95 % interval."""
    accuracy_high: Share
    held_out: int = Field(ge=1)
    old_success: _Places
    """Share of held-out samples that the parent's trigger sends to its target, by location, such as `class 3`."""
    fresh_success: _Places
    """The same for triggers inverted anew on this model."""
    fresh_size_ratio: dict[str, Annotated[Finite, Field(ge=0)]] = Field(default_factory=dict, max_length=MAX_PLACES)
    """Size of a suspect's fresh trigger over the median class's."""


class RepairTask(Record):
    """One attempt: one method with its options, on the suspects of one scan."""

    method: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)
    options: dict[str, Any] = Field(default_factory=dict)
    """All options, also the method's defaults."""
    suspects: tuple[Location, ...] = Field(default=(), max_length=MAX_PLACES)
    named_by: dict[str, str] = Field(default_factory=dict, max_length=MAX_PLACES)
    """Detector whose trigger is used if there are several, by suspect, such as `class 3`."""
    triggers_path: str | None = None
    """Path of the parent's `triggers.safetensors`, if its scan left one."""
    triggers_sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")


class RepairResult(Record):
    """Result of one attempt."""

    method: str = Field(max_length=64)
    status: Literal["repaired", "does-not-fit", "failed"]
    reason: Text = ""
    options: dict[str, Any] = Field(default_factory=dict, max_length=100)
    seed: int = Field(ge=0)
    before: RepairMeasures | None = None
    after: RepairMeasures | None = None
    changed: dict[Annotated[str, Field(max_length=200)], Finite | int | Text] = Field(
        default_factory=dict, max_length=200
    )
    """Changes by name: neurons pruned by layer, steps taken, and the like."""
    seconds: Finite = Field(default=0.0, ge=0)
    sample_passes: int = Field(default=0, ge=0)
    samples_used: int = Field(default=0, ge=0)
    """Number of clean samples that the repair trained on; the held-out ones are others."""
    used_detectors: tuple[Annotated[str, Field(max_length=64)], ...] = Field(default=(), max_length=64)
    """Detectors that the method was tuned on, and which say less about its outcome."""
    pictures: tuple[Picture, ...] = Field(default=(), max_length=MAX_REPAIR_PICTURES)
    """Triggers at a location, by caption: `old` is the parent's, `fresh` the one found afterwards."""
    complete: bool = False


class RepairBounds(Record):
    """Bounds within which a repair holds."""

    max_success: Share = 0.1
    """Greatest success of any trigger of the parent, and of a small fresh one."""
    min_size_ratio: float = Field(default=0.31, ge=0, allow_inf_nan=False)
    """Least size over the median class's of a fresh trigger that is no trigger found."""
    max_loss: Share = 0.02
    """Greatest loss of clean accuracy, beyond one standard error of the accuracy afterwards."""


def broken_by(result: RepairResult, suspects: Collection[Location], bounds: RepairBounds) -> tuple[str, ...]:
    """Return why an attempt does not hold, in sentences; empty where it does."""
    if result.status != "repaired" or not result.complete:
        return (result.reason or "The attempt did not end.",)
    if result.before is None or result.after is None:
        return ("Nothing was measured before or after the repair.",)
    return (
        *_of_accuracy(result.before, result.after, bounds),
        *_of_triggers(result.before, result.after, suspects, bounds),
    )


def accuracy_noise(measures: RepairMeasures) -> float:
    """Return one standard error of the accuracy: the width of its 95 % interval over twice 1.96."""
    return max(0.0, measures.accuracy_high - measures.accuracy_low) / (2 * NORMAL_95)


def fidelity(before: RepairMeasures, after: RepairMeasures, place: str) -> float | None:
    """Return NIST's fidelity (ASR0 - ASR1)/ASR0 * ACC1/ACC0 of the old trigger at a place; None if undefined."""
    was, now = before.old_success.get(place), after.old_success.get(place)
    if not was or now is None or not before.accuracy:
        return None
    return (was - now) / was * after.accuracy / before.accuracy


def found_again(measures: RepairMeasures, bounds: RepairBounds) -> tuple[str, ...]:
    """Return the places where a fresh trigger succeeds that is small compared with the median class's."""
    return tuple(
        place
        for place, success in measures.fresh_success.items()
        if success > bounds.max_success
        and place in measures.fresh_size_ratio
        and measures.fresh_size_ratio[place] < bounds.min_size_ratio
    )


def only_hidden(result: RepairResult, bounds: RepairBounds) -> tuple[str, ...]:
    """Return the places where the old trigger no longer works and a new small one does."""
    if result.before is None or result.after is None:
        return ()
    after = result.after
    return tuple(p for p in found_again(after, bounds) if after.old_success.get(p, 1.0) <= bounds.max_success)


def _of_accuracy(before: RepairMeasures, after: RepairMeasures, bounds: RepairBounds) -> Iterator[str]:
    noise = accuracy_noise(after)
    if before.accuracy - after.accuracy > bounds.max_loss + noise:
        yield (
            f"Clean accuracy fell from {before.accuracy:.1%} to {after.accuracy:.1%} on {after.held_out} held-out "
            f"samples; at most {bounds.max_loss:.1%} may be lost, and {noise:.1%} is one standard error of it."
        )


def _of_triggers(
    before: RepairMeasures, after: RepairMeasures, suspects: Collection[Location], bounds: RepairBounds
) -> Iterator[str]:
    for place in before.old_success:
        success = after.old_success.get(place)
        if success is None:
            yield f"The parent's trigger at {place} was not tried on the repaired model."
        elif success > bounds.max_success:
            yield f"The parent's trigger at {place} still succeeds on {success:.1%}; at most {bounds.max_success:.1%}."
    missing = sorted({str(place) for place in suspects} - (set(after.fresh_success) & set(after.fresh_size_ratio)))
    if missing:
        yield f"No fresh trigger was searched for at {', '.join(missing[:10])}."
    for place in found_again(after, bounds):
        yield (
            f"A fresh trigger at {place} succeeds on {after.fresh_success[place]:.1%} of held-out samples at "
            f"{after.fresh_size_ratio[place]:.2f} of the median class's size; at least {bounds.min_size_ratio:g}."
        )
