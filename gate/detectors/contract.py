"""The contract of a detector: a module with a docstring, an options record, a generator and one value `DETECTOR`.

A detector measures. It knows no limit, catches nothing, prints nothing, and leaves the model as it found it. The worker
runs it, times it and stores what it yields. Importing a detector must not import torch: policies are validated and
`gate explain` answers without it.
"""

import importlib
import inspect
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Flag, auto
from typing import Any, Generic, TypeVar

from gate.records.declarations import LooksAt, Metric, Options, Space
from gate.records.evidence import Unmeasured
from gate.records.passes import Passes
from gate.records.run import Run
from gate.spaces.contract import IMAGES, TriggerFamily
from gate.spaces.subject import Subject, Yield


class Need(Flag):
    """Parts of the subject that a detector must have; each is loaded only on request."""

    FILES = auto()
    WEIGHTS = auto()
    GRAPH = auto()
    MODEL = auto()
    SAMPLES = auto()
    TRAINING_SET = auto()
    REFERENCES = auto()
    PREVIOUS = auto()
    ADAPTER = auto()
    LANGUAGE = auto()
    BESIDE = auto()


NOTHING = Need(0)
ON_FILES = Need.FILES | Need.ADAPTER | Need.LANGUAGE
"""What an inspector has, which loads no model."""

_LOOKS_AT: tuple[tuple[Need, LooksAt], ...] = (
    (Need.TRAINING_SET, "training"),
    (Need.MODEL | Need.BESIDE, "behaviour"),
    (Need.WEIGHTS | Need.ADAPTER | Need.LANGUAGE, "weights"),
    (Need.GRAPH, "graph"),
)
"""The first of these that a detector needs is what it looks at; without any, the bytes."""

PARTS = ("Measures", "Matters", "Blind to", "See")
"""Parts of a detector's docstring, for reports and `gate explain`."""
_HEADING = re.compile(rf"^({'|'.join(PARTS)})\s+", flags=re.MULTILINE)

OptionsT = TypeVar("OptionsT", bound=Options)


@dataclass(frozen=True)
class Detector(Generic[OptionsT]):
    """A detector's identity and its one function."""

    id: str
    """Kebab-case; the file's name, the policy's key, the report's rule and the test's name."""
    title: str
    doing: str
    """What it looks for, in a few plain words for the line of progress."""
    needs: Need
    metrics: tuple[Metric, ...]
    options: type[OptionsT]
    measure: Callable[[Subject, OptionsT, Run], Iterator[Yield]]
    uses: Need = NOTHING
    """Optional parts of the subject, whose absence it reports."""
    spaces: frozenset[Space] = IMAGES
    """Kinds of input that it is for; a model of another kind is none that it can measure."""
    before_loading: bool = False
    """Whether its findings forbid loading the model and cannot be waived."""
    passes: Callable[[Subject, OptionsT, Run], Passes] | None = None
    """Function to the passes that `measure` would make of the same; None: so few that they take no time."""
    family: TriggerFamily[Any] | None = None
    """Family of the triggers that it inverts, for later stages that search for the same again."""

    @property
    def looks_at(self) -> LooksAt:
        """What it measures."""
        return next((what for need, what in _LOOKS_AT if need & self.needs), "bytes")

    @property
    def on_files(self) -> bool:
        """Whether the inspector runs it: it needs files alone, no model that was loaded."""
        return Need.FILES in self.needs and not self.needs & ~ON_FILES

    @property
    def module(self) -> str:
        """The name of its module, whose docstring says what it measures."""
        return f"gate.detectors.{self.id.replace('-', '_')}"

    def metric(self, metric_id: str) -> Metric | None:
        """Return the metric of that id, or None."""
        return next((metric for metric in self.metrics if metric.id == metric_id), None)


def undefined_for(metrics: Iterable[Metric], classes: int | None) -> tuple[Unmeasured, ...]:
    """Return, as gaps with that reason, the metrics that do not exist for a model of so few classes."""
    least = {one.id: one.least_classes for one in metrics if classes is not None and classes < one.least_classes}
    return tuple(
        Unmeasured(metric=name, reason=f"not defined for {classes} classes: it exists from {n} on", least_classes=n)
        for name, n in least.items()
    )


def unmeasured(why: Mapping[str, str], seen: Collection[str] = ()) -> Iterator[Unmeasured]:
    """Yield why each metric has no value anywhere, except for those that were seen to have one."""
    yield from (Unmeasured(metric=metric, reason=reason) for metric, reason in why.items() if metric not in seen)


def summary(module_name: str) -> str:
    """Return the first paragraph of a module's docstring in one line."""
    return " ".join(_docstring(module_name).split("\n\n", maxsplit=1)[0].split())


def parts(module_name: str) -> dict[str, str]:
    """Return the parts by name, each in one line; a docstring without one of them raises ValueError."""
    pieces = _HEADING.split(_docstring(module_name))
    found = {name: " ".join(text.split()) for name, text in zip(pieces[1::2], pieces[2::2], strict=True)}
    if missing := [name for name in PARTS if name not in found]:
        raise ValueError(f"the docstring of {module_name} has no part {missing[0]!r}")
    return found


def _docstring(module_name: str) -> str:
    return inspect.getdoc(importlib.import_module(module_name)) or ""
