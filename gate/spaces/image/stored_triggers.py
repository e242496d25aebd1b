"""Triggers that a scan left in `triggers.safetensors`, to be applied to images again; read by workers alone.

The names of a trigger's tensors identify its family. Tensors of no family, not finite or of another shape are left out.
"""

from collections.abc import Mapping

import torch
from safetensors import SafetensorError
from safetensors.torch import load

from gate.records.errors import UnexaminableError
from gate.records.evidence import Location
from gate.spaces.contract import Apply, Bounds, Shape, Tensors
from gate.spaces.image.triggers import inverted_families
from gate.spaces.subject import Trigger


def load_triggers(
    raw: bytes, places: Mapping[Location, str], shape: Shape, bounds: Bounds, device: str
) -> dict[Location, Trigger]:
    """Return a trigger for each place that has one, that of the detector named for it before any other."""
    try:
        stored = {name: tensor.to(device) for name, tensor in load(raw).items()}
    except (SafetensorError, ValueError, KeyError) as error:
        raise UnexaminableError(f"the triggers of the scan cannot be read: {str(error)[:200]}") from None
    found: dict[tuple[str, str], dict[str, torch.Tensor]] = {}
    for key, tensor in stored.items():
        detector, _, rest = key.partition("/")
        place, _, name = rest.rpartition("/")
        found.setdefault((place, detector), {})[name] = tensor
    chosen: dict[Location, Trigger] = {}
    for place, wanted in places.items():
        own = sorted((detector for where, detector in found if where == str(place)), key=lambda d: (d != wanted, d))
        for detector in own:
            tensors = found[str(place), detector]
            if place not in chosen and (apply := applying(tensors, shape, bounds)) is not None:
                chosen[place] = Trigger(place, 0.0, apply, tensors)
    return chosen


def applying(tensors: Tensors, shape: Shape, bounds: Bounds) -> Apply | None:
    """Return the function that applies these tensors; None where they are of no family, not finite or do not fit."""
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        return None
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    family = next((family for family in inverted_families() if family.parts(shape) == shapes), None)
    return family.applying(tensors, bounds) if family is not None else None
