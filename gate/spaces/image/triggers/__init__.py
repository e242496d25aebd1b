"""The folder is the registry: each file holds one family of triggers, its value `FAMILY`.

A search takes a `TriggerFamily` from its detector; a repair draws of every family that can be drawn. Importing
a family imports no torch.
"""

import importlib
import pkgutil
from functools import cache
from typing import Any

from gate.spaces.contract import DrawnFamily, TriggerFamily


@cache
def families() -> tuple[TriggerFamily[Any] | DrawnFamily, ...]:
    """Return every family in the order of the files' names."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return tuple(importlib.import_module(f"{__name__}.{name}").FAMILY for name in names)


def inverted_families() -> tuple[TriggerFamily[Any], ...]:
    """Return the families that a search can invert."""
    return tuple(family for family in families() if isinstance(family, TriggerFamily))


def drawn_families() -> tuple[DrawnFamily, ...]:
    """Return the families that can be drawn at random, in the order of their streams."""
    every = (family.drawn if isinstance(family, TriggerFamily) else family for family in families())
    return tuple(sorted((drawn for drawn in every if drawn is not None), key=lambda drawn: drawn.stream))
