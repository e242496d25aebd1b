"""The space of images in raw pixel space (N, C, H, W), whose shape and bounds the classifier holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gate.spaces.contract import InputSpace, Relaxed
from gate.spaces.image.samples import read_samples
from gate.spaces.image.usable import require_usable

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from gate.spaces.subject import ImageClassifier


def _facts(classifier: ImageClassifier) -> Mapping[str, object]:
    return {"input_shape": classifier.input_shape}


def _relax(classifier: ImageClassifier, inputs: torch.Tensor) -> Relaxed:
    """Return images as they are: the model is differentiable in them."""
    return Relaxed(inputs, classifier.logits)


SPACE = InputSpace("images", read_samples, require_usable, _facts, _relax)
