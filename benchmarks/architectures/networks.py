"""Networks by name, one of the smallest of each family, without weights from anywhere."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import torch

CLASSES: Final = 10
_TORCHVISION: Final = {
    **dict.fromkeys((
        "vgg11", "vgg11_bn", "resnet18", "resnext50_32x4d", "wide_resnet50_2", "squeezenet1_0", "densenet121",
        "shufflenet_v2_x0_5", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "mnasnet0_5",
        "efficientnet_b0", "efficientnet_v2_s", "regnet_y_400mf", "regnet_x_400mf", "convnext_tiny", "swin_t",
        "swin_v2_t",
    ), 64),
    "alexnet": 224, "googlenet": 64, "inception_v3": 299, "vit_b_16": 32, "maxvit_t": 224,
}  # fmt: skip
"""By family, the side of a picture that it takes."""
_SIZES: Final = ("test_", "zepto", "atto", "femto", "pico", "nano", "xxs", "xxt", "xs", "xt", "tiny", "_t", "18",
                 "lite0", "b0", "small", "_s", "26", "base")  # fmt: skip
"""Marks of small members among timm's names, the smallest first."""
_TINY: Final = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "image_size": 32,
    "patch_size": 8,
}  # fmt: skip
_SETTINGS: Final[dict[str, dict[str, Any]]] = {
    "PerceiverForImageClassificationLearned": {"num_latents": 8, "d_latents": 32, "image_size": 224},
    "PerceiverForImageClassificationFourier": {"num_cross_attention_heads": 1, "d_latents": 32, "num_latents": 8},
    "PerceiverForImageClassificationConvProcessing": {
        "num_cross_attention_heads": 1, "d_latents": 32, "num_latents": 8,
    },
}  # fmt: skip
"""Of classes of transformers whose own defaults do not fit a picture."""


_NO_CLASSIFIERS: Final = frozenset({"ShieldGemma2ForImageClassification"})
"""Listed by transformers, and a language model of four thousand million parameters that is asked about a picture."""


@dataclass(frozen=True)
class Network:
    """A network that can be made, and the side of the square pictures that it takes."""

    name: str
    make: Callable[[], tuple[torch.nn.Module, int]]


def torchvision_networks() -> Iterator[Network]:
    """Yield torchvision's classifiers, one of each family and every variant of layers."""
    from torchvision.models import get_model

    def make(name: str, side: int) -> tuple[torch.nn.Module, int]:
        further = {"image_size": side} if name.startswith("vit") else {}
        if name in {"googlenet", "inception_v3"}:
            further = {"init_weights": False}
        return get_model(name, weights=None, num_classes=CLASSES, **further), side

    for name, side in _TORCHVISION.items():
        yield Network(f"torchvision/{name}", lambda name=name, side=side: make(name, side))  # type: ignore[misc]


def timm_networks() -> Iterator[Network]:
    """Yield timm's classifiers: of each of its modules the one whose name says that it is the smallest."""
    import timm

    def make(name: str) -> tuple[torch.nn.Module, int]:
        model = timm.create_model(name, pretrained=False, num_classes=CLASSES)
        return model, model.default_cfg["input_size"][-1]

    for module in timm.list_modules():
        name = min(timm.list_models(module=module), key=_rank, default=None)
        if name is not None:
            yield Network(f"timm/{name}", lambda name=name: make(name))  # type: ignore[misc]


def transformers_networks() -> Iterator[Network]:
    """Yield every image classifier that transformers lists, with few and narrow layers where its settings allow it."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING as LISTED

    def make(config: Any, network: Any) -> tuple[torch.nn.Module, int]:
        faults = []
        for settings in (_SETTINGS.get(network.__name__, _TINY), {}):
            try:
                made = config(num_labels=CLASSES, **settings)
                side = getattr(made, "image_size", None) or 224
                side = side[0] if isinstance(side, list | tuple) else side
                model = network(made).eval()
                with torch.no_grad():
                    model(torch.rand(1, 3, side, side))
            except Exception as error:  # noqa: BLE001  # settings that a network does not take are tried without
                faults.append(f"{type(error).__name__}: {' '.join(str(error).split())[:160]}")
            else:
                return model, side
        raise RuntimeError(faults[-1])

    for config, listed in LISTED.items():
        for network in listed if isinstance(listed, tuple | list) else (listed,):
            if network.__name__ in _NO_CLASSIFIERS:
                continue
            name = f"transformers/{network.__name__}"
            yield Network(name, lambda config=config, network=network: make(config, network))  # type: ignore[misc]


FAMILIES: Final[dict[str, Callable[[], Iterator[Network]]]] = {
    "torchvision": torchvision_networks,
    "timm": timm_networks,
    "transformers": transformers_networks,
}


def _rank(name: str) -> tuple[int, int, str]:
    place = next((index for index, mark in enumerate(_SIZES) if re.search(mark, name)), len(_SIZES))
    return place, len(name), name
