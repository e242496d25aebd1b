"""One class's activations, split in two: measurements, listed neurons and plots for detectors that cluster them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from gate.records.errors import UnexaminableError
from gate.records.evidence import Location, Measurement, Point, Projection
from gate.statistics.clustering import MIN_SAMPLES, Array, Clusters, neuron_shifts, reduce, split

MAX_DRAWN = 600
"""Most points of one plot."""


class SplitSettings(Protocol):
    """The options of every detector that splits a class."""

    @property
    def reduction(self) -> Literal["pca", "t-sne"]:
        """Method that reduces activations."""

    @property
    def dimensions(self) -> int:
        """Most dimensions after the reduction."""

    @property
    def neurons(self) -> int:
        """Number of neurons that are listed."""


@dataclass(frozen=True)
class Group:
    """Activations (N, D) of one class and the kind of each row's sample: clean, triggered, training."""

    location: Location
    activations: Array
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class Split:
    """A group, its reduced activations (N, d) and their two clusters."""

    group: Group
    points: Array
    clusters: Clusters
    settings: SplitSettings

    @property
    def smaller(self) -> Array:
        """Mask (N,) of the smaller cluster."""
        return np.asarray(self.clusters.labels == 1)


def split_group(group: Group, settings: SplitSettings, seed: int) -> Split:
    """Reduce and split a group; fewer than `MIN_SAMPLES` samples raise `UnexaminableError`."""
    if len(group.activations) < MIN_SAMPLES:
        raise UnexaminableError(
            f"{group.location} has {len(group.activations)} samples that reach it; clustering needs {MIN_SAMPLES}"
        )
    points = reduce(group.activations, settings.dimensions, settings.reduction, seed)
    return Split(group, points, split(points, seed), settings)


def numbers(found: Split, note: str) -> Iterator[Measurement]:
    """Yield silhouette, with DBSCAN's result and `note` beside it, and relative size."""
    clusters, location = found.clusters, found.group.location
    density = f"DBSCAN finds {clusters.density_clusters} clusters and calls {clusters.density_noise:.0%} noise; {note}"
    yield Measurement(metric="silhouette", value=clusters.silhouette, location=location, note=density)
    yield Measurement(metric="relative-size", value=clusters.relative_size, location=location)


def listed_neurons(found: Split) -> Iterator[Measurement]:
    """Yield the neurons that differ most between the smaller and the larger cluster; none for a single cluster."""
    if found.smaller.all() or not found.smaller.any():
        return
    shifts = neuron_shifts(found.group.activations, found.smaller)
    for neuron in np.argsort(-np.abs(shifts), kind="stable")[: found.settings.neurons]:
        yield Measurement(
            metric="neuron-shift",
            value=float(shifts[neuron]),
            location=Location(kind="neuron", name=str(int(neuron))),
            note=f"a hijacked candidate of {found.group.location}",
        )


def drawn(found: Split) -> Projection:
    """Return the first two reduced dimensions of at most `MAX_DRAWN` samples, for the report's plot."""
    method = f"{found.settings.reduction}, first two dimensions"
    return plot(found.group.location, method, found.points, found.group.kinds, found.clusters.labels)


def plot(location: Location, method: str, points: Array, kinds: tuple[str, ...], labels: Array) -> Projection:
    """Return at most `MAX_DRAWN` of the points (N, d), in their first two dimensions, with kind and cluster of each."""
    every = max(1, -(-len(points) // MAX_DRAWN))
    flat = points if points.shape[1] > 1 else points.repeat(2, axis=1)
    return Projection(
        location=location,
        method=method,
        points=tuple(
            Point(x=float(x), y=float(y), group=kind, cluster=int(label))
            for (x, y), kind, label in zip(flat[::every, :2], kinds[::every], labels[::every], strict=True)
        ),
    )
