"""The folder is the registry: each file holds one family of fixed probes, its value `FAMILY`.

A probe depends on the image's shape alone, so that its answers compare across all models of a task. Importing a family
imports no torch.
"""

import hashlib
import importlib
import pkgutil
from functools import cache

from gate.spaces.contract import Apply, Bounds, Probe, ProbeFamily, Shape

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


def within(probe: Probe, bounds: Bounds) -> Apply:
    """Return a probe for raw inputs within `bounds`."""
    least, greatest = bounds
    return lambda x: least + (greatest - least) * probe.apply((x - least) / (greatest - least))
