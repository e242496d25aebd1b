"""Options and metrics that every detector by trigger inversion has; imports no torch, as specs must."""

from typing import Literal

from pydantic import Field

from gate.records.declarations import Compared, Metric, Options, Where

LEAST_COMPARED = 3
"""Classes without which a median of their sizes says nothing."""
LEAST_SOURCES = 4
"""Source classes without which nothing can be said of what is usual among them."""


class TriggerSearch(Options):
    """How triggers are searched for."""

    steps: int = Field(default=150, ge=1, le=10_000)
    """Optimiser steps of a class that stays to the end."""
    batch: int = Field(default=24, ge=1, le=1024)
    """Images per class and step."""
    clean_samples: int = Field(default=500, ge=2)
    """The most clean samples that are used."""
    success_target: float = Field(default=0.95, gt=0, le=1)
    """Share of a class's images that must reach the target before its trigger is made smaller."""
    settled_after: int | None = Field(default=40, ge=1)
    """Steps without a hundredth of improvement after which a class leaves the search; null: never."""
    hopeless_after: int | None = Field(default=60, ge=1)
    """Steps after which a class that has not moved half of its images leaves the search; null: never."""
    pictured: int = Field(default=3, ge=0, le=8)
    """How many classes, smallest trigger first, are drawn for the report."""
    untargeted_starts: int = Field(default=2, ge=0, le=64)
    """Starts of the search for one trigger that moves every class to any other; 0: none."""
    exits: bool = False
    """Whether the smallest trigger by which each class's samples leave it is searched for."""
    exits_most: int = Field(default=100, ge=2, le=10_000)
    """The most classes whose exits are searched for."""
    pairs: Literal["none", "all", "screened"] = "none"
    """Whether triggers from one source class to one target are searched for too: all pairs, or as many as
    `pairs-most`, chosen by how near the model's own scores bring them."""
    pairs_most: int = Field(default=90, ge=2, le=10_000)
    pair_steps: int = Field(default=100, ge=1, le=10_000)
    """Optimiser steps of a pair, or of an exit."""
    pair_batch: int = Field(default=8, ge=1, le=1024)
    """Images per pair, or exit, and step."""


def metrics(unit: str, what: str) -> tuple[Metric, ...]:
    """Return the metrics of a search by class; `what` says what the size of a trigger is."""
    return (
        Metric(
            "size",
            unit,
            "lower",
            f"{what} that sends samples to the class, or from one class to another.",
            compared=Compared("log", "class"),
        ),
        Metric(
            "size-ratio",
            "ratio",
            "lower",
            "That size over the median of all classes searched to the end.",
            least_classes=LEAST_COMPARED,
        ),
        Metric(
            "anomaly-index",
            "robust deviations",
            "higher",
            "(median - size) / (1.4826 · MAD) over the classes.",
            least_classes=LEAST_COMPARED,
        ),
        Metric("attack-success-rate", "share", "neither", "Share of the samples to be moved that the trigger moves."),
        Metric(
            "untargeted-size",
            unit,
            "lower",
            f"{what} that moves samples of every class out of it, wherever to.",
            compared=Compared("log", "model"),
        ),
        Metric(
            "untargeted-ratio",
            "ratio",
            "lower",
            "That size over the smallest size of a class.",
            compared=Compared("log", "model"),
        ),
        # Not compared: its class is the one that is left, and no target.
        Metric("exit-size", unit, "lower", f"{what} that moves this class's samples out of it, wherever to."),
        Metric(
            "exit-ratio",
            "ratio",
            "lower",
            "The smallest exit over the median exit; named with where it leads.",
            least_classes=LEAST_SOURCES,
            compared=Compared("log", "pair"),
        ),
        Metric("searched-share", "share", "lower", "Share of the classes, or pairs, that were searched to the end."),
    )


_PAIRS: tuple[tuple[str, Where, str], ...] = (
    ("pair-residual", "pair", "A pair's log size less what its source and its target explain."),
    ("pair-asymmetry", "pair", "The residual of a pair less that of the opposite pair."),
    ("permutation", "model", "Mean residual of the best assignment of one target to every source class."),
)
PAIR_METRICS = tuple(
    Metric(name, "log ratio", "lower", meaning, least_classes=LEAST_SOURCES, compared=Compared("linear", at))
    for name, at, meaning in _PAIRS
)
"""Of a search that takes pairs too."""
