"""Triggers that a scan left in `triggers.safetensors`, to be applied to inputs again; read by workers alone."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from safetensors import SafetensorError
from safetensors.torch import load

from gate.records.errors import UnexaminableError
from gate.records.evidence import Location
from gate.spaces.contract import Tensors
from gate.spaces.subject import Trigger

if TYPE_CHECKING:
    import torch


def triggers_at(
    raw: bytes, places: Mapping[Location, str], reading: Callable[[Location, Tensors], Trigger | None], device: str
) -> dict[Location, Trigger]:
    """Return a trigger for each place that has one, that of the detector named for it before any other.

    `reading` returns the trigger of some tensors, or None where they are not finite or no trigger.
    """
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
            if place not in chosen and (trigger := reading(place, found[str(place), detector])) is not None:
                chosen[place] = trigger
    return chosen
