"""Triggers that a scan left in `triggers.safetensors`, to be applied to images again; read by workers alone.

The names of a trigger's tensors identify its family. Tensors of no family, not finite or of another shape are left out.
"""

from collections.abc import Mapping

import torch

from gate.records.evidence import Location
from gate.spaces.contract import Apply, Bounds, Shape, Tensors
from gate.spaces.image.triggers import inverted_families
from gate.spaces.stored_triggers import triggers_at
from gate.spaces.subject import Trigger


def load_triggers(
    raw: bytes, places: Mapping[Location, str], shape: Shape, bounds: Bounds, device: str
) -> dict[Location, Trigger]:
    """Return a trigger for each place that has one, that of the detector named for it before any other."""

    def reading(place: Location, tensors: Tensors) -> Trigger | None:
        apply = applying(tensors, shape, bounds)
        return None if apply is None else Trigger(place, 0.0, apply, tensors)

    return triggers_at(raw, places, reading, device)


def applying(tensors: Tensors, shape: Shape, bounds: Bounds) -> Apply | None:
    """Return the function that applies these tensors; None where they are of no family, not finite or do not fit."""
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        return None
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    family = next((family for family in inverted_families() if family.parts(shape) == shapes), None)
    return family.applying(tensors, bounds) if family is not None else None
