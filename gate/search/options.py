"""Options and metrics of every detector by trigger inversion; imports no torch, as specs must."""

from typing import Final, Literal

from pydantic import Field

from gate.records.declarations import Compared, Metric, Options, Where

LEAST_COMPARED = 3
"""Fewest classes whose sizes have a median worth comparing with."""
LEAST_SOURCES = 4
"""Fewest source classes that can be compared among themselves."""


class TriggerSearch(Options):
    """Settings of a search for triggers."""

    steps: int = Field(default=150, ge=1, le=10_000)
    """Optimiser steps of a class that stays to the end."""
    batch: int = Field(default=24, ge=1, le=1024)
    """Images per class and step."""
    clean_samples: int = Field(default=100, ge=2)
    """Most clean samples that the search is given; `confirmation` tries triggers on the others."""
    success_target: float = Field(default=0.95, gt=0, le=1)
    """Share of a class's images that must reach the target before its trigger is made smaller."""
    settled_after: int | None = Field(default=40, ge=1)
    """Steps without a hundredth of improvement after which a class leaves the search; null: never."""
    hopeless_after: int | None = Field(default=60, ge=1)
    """Steps after which a class that has not moved half of its images leaves the search; null: never."""
    pictured: int = Field(default=3, ge=0, le=8)
    """Number of classes, smallest trigger first, whose triggers the report shows."""
    untargeted_starts: int = Field(default=0, ge=0, le=64)
    """Starts of the search for one trigger that moves every class to any other; 0: none."""
    most: int = Field(default=1, ge=1, le=1000)
    """Where only suspects are searched for: the most classes of theirs, those named first."""
    controls: int = Field(default=3, ge=3, le=1000)
    """Where only suspects are searched for: other classes, drawn at random, that their sizes are compared with."""
    exits: bool = False
    """Whether to search for the smallest trigger by which each class's samples leave it."""
    exits_most: int = Field(default=100, ge=2, le=10_000)
    """Most classes whose exits are searched for."""
    pairs: Literal["none", "all", "screened"] = "none"
    """Pairs of source and target searched too: all, or `pairs-most` of them, half chosen by the model's scores."""
    pairs_most: int = Field(default=90, ge=2, le=10_000)
    """Most pairs that are searched for where they are screened."""
    pair_steps: int = Field(default=40, ge=1, le=10_000)
    """Optimiser steps of a pair or an exit."""
    pair_batch: int = Field(default=6, ge=1, le=1024)
    """Images per pair or exit and step."""

    @property
    def suspects_at_most(self) -> int | None:
        """At how many classes of suspects, those named first, the search looks."""
        return self.most


_BY_CLASS: tuple[tuple[str, str | None, Literal["higher", "lower", "neither"], str, int, Where | None], ...] = (
    ("size", None, "lower", "{size} that sends samples to the class, or from one class to another.", 1, "class"),
    (
        "size-ratio",
        "ratio",
        "lower",
        "That size over the median of all classes searched to the end.",
        LEAST_COMPARED,
        None,
    ),
    (
        "anomaly-index",
        "robust deviations",
        "higher",
        "(median - size) / (1.4826 · MAD) over the classes.",
        LEAST_COMPARED,
        None,
    ),
    ("attack-success-rate", "share", "neither", "Share of the samples to be moved that the trigger moves.", 1, None),
    ("untargeted-size", None, "lower", "{size} that moves samples of every class out of it, wherever to.", 1, "model"),
    ("untargeted-ratio", "ratio", "lower", "That size over the smallest size of a class.", 1, "model"),
    # Not compared: its class is the one that is left, and no target.
    ("exit-size", None, "lower", "{size} that moves this class's samples out of it, wherever to.", 1, None),
    (
        "exit-ratio",
        "ratio",
        "lower",
        "The smallest exit over the median exit; named with where it leads.",
        LEAST_SOURCES,
        "pair",
    ),
    ("searched-share", "share", "lower", "Share of the classes, or pairs, that were searched to the end.", 1, None),
)
"""Id, unit (None: the size's), suspicious side, meaning, fewest classes, and where a bank compares its logarithm."""
_WHOLE: Final = frozenset({"untargeted-size", "untargeted-ratio", "searched-share"})
"""Those of the whole model; the others are measured at classes or pairs."""


def metrics(unit: str, size: str) -> tuple[Metric, ...]:
    """Return the metrics of a search by class; `size` says what the size of a trigger is."""
    return tuple(
        Metric(
            name,
            own or unit,
            worse,
            meaning.replace("{size}", size),
            least,
            compared=Compared("log", at) if at else None,
            within="log" if name == "size" else None,
            by_class=name not in _WHOLE,
        )
        for name, own, worse, meaning, least, at in _BY_CLASS
    )


_PAIRS: tuple[tuple[str, Where, str], ...] = (
    ("pair-residual", "pair", "A pair's log size less what its source and its target explain."),
    ("pair-asymmetry", "pair", "The residual of a pair less that of the opposite pair."),
    ("permutation", "model", "Mean residual of the best assignment of one target to every source class."),
)
PAIR_METRICS = tuple(
    Metric(
        name,
        "log ratio",
        "lower",
        meaning,
        least_classes=LEAST_SOURCES,
        compared=Compared("linear", at),
        by_class=at == "pair",
    )
    for name, at, meaning in _PAIRS
)
"""Metrics of a search that takes pairs too."""
