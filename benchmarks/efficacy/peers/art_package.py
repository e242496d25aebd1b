"""Reaches the Adversarial Robustness Toolbox (MIT) where it is installed; it is no dependency of this project.

Below the peers that run the package's own code. Importing it makes a folder `.art` in the user's home.
"""

import importlib
from collections import OrderedDict
from typing import Any

from torch import Tensor, nn

from gate.records.errors import CannotFinishError


class Logits(nn.Module):
    """A model under one name, so that the package's hook stays off the caller's module."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.inside = model
        self.passes = 0

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, K), and count them."""
        self.passes += len(x)
        result: Tensor = self.inside(x)
        return result


def art(module: str) -> Any:
    """Import a module of the package, or say how to get it."""
    try:
        return importlib.import_module(f"art.{module}")
    except ImportError as error:
        raise CannotFinishError(
            f"this peer runs the package adversarial-robustness-toolbox; importing art.{module} failed: {error}",
            what_to_do="Install it as benchmarks/peers.in says, beside the environment of the gate.",
        ) from error


def art_classifier(logits: Logits, shape: tuple[int, ...], classes: int) -> Any:
    """Return the package's classifier around a model of inputs (C, H, W), with its one layer named `logits`."""
    return art("estimators.classification").PyTorchClassifier(
        model=nn.Sequential(OrderedDict(logits=logits)),
        loss=nn.CrossEntropyLoss(),
        input_shape=shape,
        nb_classes=classes,
        clip_values=(0.0, 1.0),
        device_type="cpu",
    )
