"""The contract of a repair method: a module with a docstring, an options record, a function and one value `METHOD`.

A method gets a program and clean samples and returns a program of the same graph with other tensors. It decides
nothing, measures nothing that counts, and never writes to what it was given; `attempt` runs it, checks that, and
measures. Importing a method must not import torch, so that a command can list its options without it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Flag, auto
from typing import TYPE_CHECKING, Generic

from gate.detectors.contract import OptionsT
from gate.records.evidence import Location
from gate.records.run import Run
from gate.spaces.subject import Samples, Trigger

if TYPE_CHECKING:
    from gate.programs import Program
    from gate.spaces.image.preprocessing import Preprocessing


class Need(Flag):
    """What a method asks for beyond a classifier and labelled samples, which every attempt is measured on."""

    TRIGGERS = auto()
    """An inverted trigger of at least one suspect."""
    BATCHES = auto()
    """A graph that takes several samples at once, as training does."""


NOTHING = Need(0)


@dataclass(frozen=True)
class Material:
    """What a method works on; none of it may be changed."""

    program: "Program"
    preprocessing: "Preprocessing"
    bounds: tuple[float, float]
    """Least and greatest value of a raw input."""
    samples: Samples
    """Clean and labelled; those on which the attempt is measured are others."""
    triggers: Mapping[Location, Trigger] = field(default_factory=dict)
    """Of the suspects that have one."""


@dataclass(frozen=True)
class Repaired:
    """What a method returns."""

    program: "Program"
    """The same graph with new tensors."""
    changed: Mapping[str, float | int | str]
    """What was done, for the report: steps taken, loss at the end."""
    sample_passes: int = 0
    """Samples through the model, forward or forward and backward."""


@dataclass(frozen=True)
class Method(Generic[OptionsT]):
    """A method's identity and its one function."""

    id: str
    """Kebab-case; the file's name with underscores."""
    needs: Need
    options: type[OptionsT]
    repair: Callable[[Material, OptionsT, Run], Repaired]
    leans_on: tuple[str, ...] = ()
    """Detectors whose searches or draws it makes itself, and which so say less about what it returns."""
