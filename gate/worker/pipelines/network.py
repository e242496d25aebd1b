"""A pipeline's network: the class of transformers, its configuration and weights, with every name accounted for."""

from collections.abc import Mapping
from typing import Any

import safetensors.torch
import torch

from gate.formats.huggingface.pipeline import Pipeline
from gate.programs.readers.pt2.tensors import refuse_non_finite
from gate.records.errors import UnexaminableError
from gate.worker.pipelines.library import library

_MAX_NAMED = 3
_MAX_GROWTH = 2
"""Most numbers of a network in place of those in its file: heads that share a tensor with others have them twice."""
_SPARE = 1 << 20
_DEPTHS = ("num_hidden_layers", "num_layers", "n_layers", "num_stages", "depths", "num_block_repeats")
"""Settings by which a class makes layers, one by one."""
_UNLIKE = "Log the pipeline again as one: its config.json and model.safetensors are not of one model."


def network_of(pipeline: Pipeline) -> torch.nn.Module:
    """Return the network in eval mode; weights that do not fit its configuration are refused by name.

    The library's own loading is used, as a consumer's is, since it may give tensors of earlier releases new names; but
    without a place to look for files in, and with nothing missing or left over.
    """
    weights = safetensors.torch.load_file(pipeline.weights)
    _require_single(weights)
    refuse_non_finite(weights)
    prefix = pipeline.task.architectures[pipeline.network].prefix
    return composed(pipeline.network, prefix, pipeline.config, weights)


def composed(
    name: str, prefix: str, config: Mapping[str, Any], weights: dict[str, torch.Tensor], **more: Any
) -> torch.nn.Module:
    """Return a class of transformers with these weights, in eval mode; `prefix` begins its configuration's name.

    `more` are further arguments of the library's own loading.
    """
    transformers = library()
    try:
        settings = getattr(transformers, f"{prefix}Config").from_dict(dict(config))
        _require_room(getattr(transformers, name), settings, weights)
        network, found = getattr(transformers, name).from_pretrained(
            None,
            config=settings,
            state_dict=weights,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # so that they are named; they are refused below
            trust_remote_code=False,
            **more,
        )
    except UnexaminableError:
        raise
    except Exception as error:  # noqa: BLE001  # the library may raise anything on sizes that do not go together
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        raise UnexaminableError(f"transformers cannot compose {name} from its files: {why}") from None
    _require_whole(found)
    network.eval().requires_grad_(requires_grad=False)
    assert isinstance(network, torch.nn.Module)
    return network


def _require_room(kind: Any, settings: Any, weights: Mapping[str, torch.Tensor]) -> None:
    """Refuse a configuration of far larger a network than the weights', before any memory is taken for it."""
    for name in _DEPTHS:
        given = getattr(settings, name, None)
        depths = given if isinstance(given, (list, tuple)) else [given]
        layers = sum(depth for depth in depths if isinstance(depth, int))
        if layers > len(weights):
            raise UnexaminableError(
                f"the weights do not fit the configuration: {name!r} makes {layers} layers, and they are "
                f"{len(weights)} tensors",
                what_to_do=_UNLIKE,
            )
    with torch.device("meta"):
        made = sum(tensor.numel() for tensor in kind(settings).state_dict().values())
    held = sum(tensor.numel() for tensor in weights.values())
    if made > _MAX_GROWTH * held + _SPARE:
        raise UnexaminableError(
            f"the weights do not fit the configuration: it makes {made} numbers, and they hold {held}",
            what_to_do=_UNLIKE,
        )


def _require_single(weights: dict[str, torch.Tensor]) -> None:
    """Refuse weights of another number type than float32, which the library would convert."""
    for name, tensor in sorted(weights.items()):
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise UnexaminableError(
                f"the tensor {name[:100]!r} is {kind}; pipelines are examined in float32",
                what_to_do="Convert the network by .float(), and log it again.",
            )


def _require_whole(found: dict[str, Any]) -> None:
    """Refuse weights where the library found any missing, left over or of another shape."""
    for key, what in (
        ("missing_keys", "lack"),
        ("unexpected_keys", "hold"),
        ("mismatched_keys", "hold another size of"),
    ):
        if named := sorted((one if isinstance(one, str) else one[0])[:100] for one in found[key]):
            more = f" and {len(named) - _MAX_NAMED} more" if len(named) > _MAX_NAMED else ""
            listed = ", ".join(repr(one) for one in named[:_MAX_NAMED])
            raise UnexaminableError(
                f"the weights do not fit the configuration: they {what} {listed}{more}",
                what_to_do=_UNLIKE,
            )
    if found["error_msgs"]:
        raise UnexaminableError(f"the weights do not fit the configuration: {str(found['error_msgs'][0])[:300]}")
