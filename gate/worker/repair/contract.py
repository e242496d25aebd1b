"""The contract of a repair method: a module with a docstring, an options record, a function and one value `METHOD`.

A method gets a program and clean samples and returns a program of the same graph with other tensors. It decides
nothing and never writes to its material; `attempt` runs it, checks that, and measures. Importing a method must not
import torch, so a command can list its options without it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Flag, auto
from typing import TYPE_CHECKING, Generic

from gate.detectors.contract import OptionsT
from gate.records.declarations import Space
from gate.records.evidence import Location
from gate.records.run import Run
from gate.spaces.contract import IMAGES
from gate.spaces.subject import Samples, Trigger

if TYPE_CHECKING:
    from gate.programs import Program
    from gate.spaces.image.preprocessing import Preprocessing
    from gate.worker.loading.text_classifier import TextModel


class Need(Flag):
    """Needs of a method beside a classifier and labelled samples, which every attempt has."""

    TRIGGERS = auto()
    """An inverted trigger of at least one suspect."""
    BATCHES = auto()
    """A graph that takes several samples at once."""


NOTHING = Need(0)


@dataclass(frozen=True)
class Material:
    """Model, samples and triggers of a repair; none of it may be changed."""

    program: "Program"
    preprocessing: "Preprocessing"
    bounds: tuple[float, float]
    """Least and greatest value of a raw input."""
    samples: Samples
    """Clean samples: for a method half of them, labelled; the attempt is measured on the others."""
    triggers: Mapping[Location, Trigger] = field(default_factory=dict)
    """Triggers of the suspects that have one."""
    text: "TextModel | None" = None
    """What a model of tokens has beside its program; preprocessing and bounds are those of images alone."""

    @property
    def space(self) -> Space:
        """What the model takes."""
        return "images" if self.text is None else "tokens"


@dataclass(frozen=True)
class Repaired:
    """A method's result."""

    program: "Program"
    """The same graph with new tensors."""
    changed: Mapping[str, float | int | str]
    """Work done, for the report: steps taken, loss at the end."""
    sample_passes: int = 0
    """Samples through the model, forward or forward and backward."""


@dataclass(frozen=True)
class Method(Generic[OptionsT]):
    """A method's identity and its one function."""

    id: str
    """Kebab-case id; the file's name with underscores."""
    needs: Need
    options: type[OptionsT]
    repair: Callable[[Material, OptionsT, Run], Repaired]
    spaces: frozenset[Space] = IMAGES
    """Kinds of input that it is for."""
    leans_on: tuple[str, ...] = ()
    """Detectors whose searches or draws it makes itself, and which so say less about its result."""
