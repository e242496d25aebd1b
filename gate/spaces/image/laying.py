"""Triggers that a scan left in `triggers.safetensors`, made into something that can be laid on images again.

Read by workers alone. A trigger is told by the names of its tensors; one of a family that needs more than its tensors,
such as a generator's, is left out. Files come from a scan worker, and shapes that do not fit are left out as well.
"""

from collections.abc import Mapping

import torch
from safetensors import SafetensorError
from safetensors.torch import load

from gate.records.errors import UnexaminableError
from gate.records.evidence import Location
from gate.spaces.image.triggers.tone import ToneFamily
from gate.spaces.image.triggers.warp import moved_places, sampled
from gate.spaces.subject import Lay, Trigger, patched

Shape = tuple[int, int, int]
Bounds = tuple[float, float]
Tensors = Mapping[str, torch.Tensor]

_TONE_SHARE = 0.999
"""Of the limit, so that atanh of the largest change stays finite."""


def load_triggers(
    raw: bytes, places: Mapping[Location, str], shape: Shape, bounds: Bounds, device: str
) -> dict[Location, Trigger]:
    """Return a trigger for each place that has one, by the detector that is named for it where that one left it."""
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
            lay = _lay(tensors, shape, bounds) if place not in chosen else None
            if lay is not None:
                chosen[place] = Trigger(place, 0.0, lay, tensors)
    return chosen


def _lay(tensors: Tensors, shape: Shape, bounds: Bounds) -> Lay | None:
    """Return how a trigger of these tensors is laid; None where they are of no known family or do not fit."""
    channels, height, width = shape
    kinds: dict[frozenset[str], tuple[tuple[int, ...], ...]] = {
        frozenset({"mask", "pattern"}): ((1, height, width), (channels, height, width)),
        frozenset({"addition"}): ((channels, height, width),),
        frozenset({"field"}): ((2, height, width),),
    }
    names = frozenset(tensors)
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        return None
    if names in (frozenset({"curves"}), frozenset({"curves", "mixing"})):
        return _tone(tensors, shape, bounds)
    if names not in kinds or tuple(tuple(tensors[name].shape) for name in sorted(names)) != kinds[names]:
        return None
    least, greatest = bounds
    if "addition" in names:
        return lambda x: (x + (greatest - least) * tensors["addition"]).clamp(least, greatest)
    if "field" in names:
        places = moved_places(tensors["field"].unsqueeze(0))
        return lambda x: sampled(x, places.expand(len(x), -1, -1, -1))
    return patched(tensors["mask"], tensors["pattern"])


def _tone(tensors: Tensors, shape: Shape, bounds: Bounds) -> Lay | None:
    curves, mixing = tensors["curves"], tensors.get("mixing")
    if curves.ndim != 2 or curves.shape[0] != shape[0] or curves.shape[1] < 2:
        return None
    if mixing is not None and tuple(mixing.shape) != (shape[0], shape[0]):
        return None
    parts = [curves] if mixing is None else [curves, mixing]
    limit = max(max(float(part.abs().max()) for part in parts) / _TONE_SHARE, 1e-6)
    family = ToneFamily(shape, bounds, curves.shape[1], limit)
    parameters = tuple(torch.atanh(part / limit).unsqueeze(0) for part in parts)
    return lambda x: family.apply(parameters, x.unsqueeze(0))[0]
