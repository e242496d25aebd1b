"""The networks of a candidate and of its base: transformers' own class, the base's configuration, two sets of numbers.

Nothing of a candidate but its numbers is used: another configuration, another tensor or a module that is stored whole
is refused here, and so the library composes what the operator named.
"""

from collections.abc import Mapping
from copy import deepcopy
from math import prod
from typing import Any, Final

import numpy as np
import torch

from gate.formats.adapters.adapter import Adapter
from gate.formats.adapters.base import BaseModel, Stored
from gate.formats.adapters.beside_base import base_mismatches
from gate.formats.adapters.tensors import Module
from gate.formats.huggingface.language_classes import CONTINUED, prefix_of
from gate.formats.language.beside_base import config_differences, foreign_tensors
from gate.formats.language.whole import WholeModel
from gate.records.errors import UnexaminableError
from gate.statistics.stored import read_array
from gate.worker.pipelines.network import composed

_REMOTE: Final = ("auto_map", "quantization_config")
"""Keys of a base's configuration with which the library would do more than its class does."""
_SINGLE: Final = 4
"""Bytes of a number in float32."""
_COPIES: Final = 3
"""Networks' worth of numbers at once: candidate, base, and what is being read."""


def require_room(base: BaseModel, memory: int | None) -> None:
    """Refuse networks that do not fit the worker's memory, before anything is read."""
    needed = _COPIES * _SINGLE * sum(prod(one.tensor.shape) for one in base.weights.values())
    if memory is not None and needed > memory:
        raise UnexaminableError(
            f"candidate and base take {needed / 2**30:.1f} GiB in float32, and the worker has {memory / 2**30:.1f}",
            what_to_do=f"Give it more: --memory {needed / 2**30 * 1.5:.0f}.",
        )


def base_network(base: BaseModel) -> torch.nn.Module:
    """Return the base's network in float32 and eval mode; only classes of a closed list are composed."""
    config = base.config()
    name = base.network
    if name not in CONTINUED or config.get("model_type") != CONTINUED[name]:
        known = ", ".join(sorted(CONTINUED))
        raise UnexaminableError(f"the base is of the class {name[:80] or 'none'!r}; those that are run are {known}")
    if odd := next((key for key in _REMOTE if config.get(key)), ""):
        raise UnexaminableError(f"the base's configuration has {odd!r}; such a base is not run")
    return _composed(name, config, {name: _read(one) for name, one in base.weights.items()})


def tuned_network(own: WholeModel, base: BaseModel) -> torch.nn.Module:
    """Return the network of a language model that has its base's configuration and tensors."""
    different = (*config_differences(own, base, frozenset()), *(why for _, why in foreign_tensors(own, base)))
    if different:
        raise UnexaminableError(f"it is another network than its base, which alone is run: {different[0]}")
    weights = {name: _read(one) for name, one in own.model.weights.items()}
    return _composed(base.network, base.config(), weights)


def _composed(name: str, config: Mapping[str, Any], weights: dict[str, torch.Tensor]) -> torch.nn.Module:
    return composed(name, prefix_of(name), config, weights, dtype=torch.float32, attn_implementation="sdpa")


def adapted_network(adapter: Adapter, base: BaseModel, network: torch.nn.Module) -> torch.nn.Module:
    """Return a copy of the base's network with an adapter's updates in its weights."""
    different = (
        *(f"it stores {name[:80]} whole" for name in sorted(adapter.tensors.whole)[:1]),
        *base_mismatches(adapter, base),
    )
    if different:
        raise UnexaminableError(f"it is no update of low rank of its base alone: {different[0]}")
    own = deepcopy(network)
    weights = dict(own.named_parameters())
    for module in adapter.modules:
        weight = weights.get(f"{module.name}.weight")
        if weight is None or tuple(weight.shape) != module.shape:
            raise UnexaminableError(f"the base's network has no module {module.name[:100]!r}")
        with torch.no_grad():
            weight.copy_(_updated(weight, module, adapter))
    return own


def _updated(weight: torch.Tensor, module: Module, adapter: Adapter) -> torch.Tensor:
    """Return W + s · B · A; in DoRA each row with the length that its magnitude states."""
    up, down = (_read(Stored(adapter.path, part)) for part in (module.up, module.down))
    found: torch.Tensor = weight + module.scale * (up @ down)
    if module.magnitude is None:
        return found
    magnitude = _read(Stored(adapter.path, module.magnitude))
    lengths: torch.Tensor = torch.linalg.vector_norm(found, dim=1)
    return found * (magnitude / lengths.clamp(min=torch.finfo(found.dtype).tiny)).unsqueeze(1)


def _read(stored: Stored) -> torch.Tensor:
    """Return a tensor in float32; a value that is not finite there is refused."""
    with np.errstate(over="ignore"):
        single = read_array(stored).astype("<f4")
    if not np.isfinite(single).all():
        raise UnexaminableError(f"a tensor of {stored.path.name} holds values beyond float32")
    return torch.from_numpy(single)
