"""The folder is the registry: each file holds one family of probes, its value `FAMILY`.

A fixed probe depends on the image's shape alone, so that its answers compare across all models of a task; a secret one
on the operator's seed too (`gate.records.probe_seed`), a tenth as many of each family. Importing one imports no torch.
"""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
import random
from functools import cache
from typing import TYPE_CHECKING

from gate.records.probe_seed import derived
from gate.spaces.contract import UNTOLD, Apply, Bounds, InParts, Probe, ProbeFamily, Shape

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

SHARE = 0.1
"""Of secret probes, in the number of fixed ones of their family."""
_DRAWING = 1
"""Number of the way in which secret probes are drawn; to be raised with every change of it."""

LEAST_SIDE = 4
"""Fewest pixels of a side; in a smaller image, a patch is the whole image."""


@cache
def probe_families() -> tuple[ProbeFamily, ...]:
    """Return every family in the order of the files' names."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return tuple(importlib.import_module(f"{__name__}.{name}").FAMILY for name in names)


def fixed(shape: Shape) -> tuple[Probe, ...]:
    """Return all probes for images of a shape, in their order."""
    return tuple(probe for family in probe_families() for probe in family.fixed(shape))


@cache
def names(shape: Shape) -> tuple[str, ...]:
    """Return the names of all probes for images of a shape, in their order."""
    return tuple(probe.name for probe in fixed(shape))


@cache
def groups(shape: Shape) -> tuple[str, ...]:
    """Return the group of each of them."""
    return tuple(family.group for family in probe_families() for _ in family.fixed(shape))


def names_digest(shape: Shape) -> str:
    """Return the digest of those names: the same one means the same probes."""
    return hashlib.sha256("\n".join(names(shape)).encode()).hexdigest()


def secret_probes(shape: Shape, seed: str) -> tuple[Probe, ...]:
    """Return the secret probes for images of a shape; the same seed gives the same ones."""
    return tuple(
        Probe(UNTOLD, family.drawn(shape, _generator(seed, f"{family.id} {number} {shape}")), alone=alone)
        for family in probe_families()
        for alone in [all(probe.alone for probe in family.fixed(shape))]
        for number in range(_secret(family, shape))
    )


@cache
def secret_groups(shape: Shape) -> tuple[str, ...]:
    """Return the group of each of them, whatever the seed."""
    return tuple(family.group for family in probe_families() for _ in range(_secret(family, shape)))


def secret_digest(shape: Shape, seed: str) -> str:
    """Return what stands for their names: the same one means the same probes."""
    return derived(seed, f"gate: secret probes {_DRAWING} {shape}").hex()


def _secret(family: ProbeFamily, shape: Shape) -> int:
    return max(1, round(SHARE * len(family.fixed(shape))))


def _generator(seed: str, what: str) -> random.Random:
    # Its numbers are used up by the probe and never shown, so that it need not be a generator for secrets.
    return random.Random(derived(seed, f"gate: secret probe {_DRAWING} {what}"))  # noqa: S311


def within(probe: Probe, bounds: Bounds) -> Apply:
    """Return a probe for raw inputs within `bounds`."""
    least, greatest = bounds
    return lambda x: least + (greatest - least) * probe.apply((x - least) / (greatest - least))


def in_parts(probe: Probe, bounds: Bounds) -> InParts:
    """Return a probe for raw inputs within `bounds` that changes a batch part by part where it may."""
    change = within(probe, bounds)
    if probe.alone:
        return lambda x, most: map(change, _parts(x, most))
    return lambda x, most: _parts(change(x), most)


def _parts(x: torch.Tensor, most: int) -> Iterator[torch.Tensor]:
    return (x[start : start + most] for start in range(0, len(x), most))
