"""The space of tokens: texts become ids by the model's own tokenizer, and a gradient search moves their embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gate.records.errors import UnexaminableError
from gate.spaces.contract import InputSpace, Relaxed
from gate.spaces.text.packing import lengths_of
from gate.spaces.text.samples import read_samples
from gate.spaces.text.usable import require_usable

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from gate.spaces.text.contract import TextClassifier


def _facts(classifier: TextClassifier) -> Mapping[str, object]:
    return {"space": "tokens", "input_shape": (classifier.longest,)}


def _relax(classifier: TextClassifier, inputs: torch.Tensor) -> Relaxed:
    """Return the embeddings of tokens (N, L), (N, L, D)."""
    matrix, lengths = classifier.embeddings, lengths_of(inputs)
    if matrix is None:
        raise UnexaminableError("the model looks its tokens up in no embedding of its own; there are no gradients")
    return Relaxed(matrix[inputs.clamp(min=0)], lambda points: classifier.embedded(points, lengths))


SPACE = InputSpace("tokens", read_samples, require_usable, _facts, _relax)
