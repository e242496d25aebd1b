"""Scores by class as every classifier yields them: finite, (N, K), in float32; and gradients lent to half precision."""

from collections.abc import Callable

import torch

from gate.programs.gradients import lent
from gate.records.errors import UnexaminableError
from gate.spaces.image.preprocessing import Preprocessing
from gate.spaces.subject import Classifier

MAX_CLASSES = 100_000
_MOST_HEIGHT = 16
"""Ratio of scores' height to their spread up to which float32 keeps six digits of their leads."""
Pass = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""Function from preprocessed inputs to logits (N, K) and activations (N, D)."""


class NotFiniteError(UnexaminableError):
    """Scores that are NaN or infinite."""


def lending(
    x: torch.Tensor, preprocessing: Preprocessing, own: Pass, in_single: Pass | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits and activations of raw inputs; a copy in float32, if any, lends its gradients."""
    if in_single is None or not (torch.is_grad_enabled() and x.requires_grad):
        return own(preprocessing(x))
    with torch.no_grad():
        values = own(preprocessing(x))
    follows = in_single(preprocessing.giving(torch.float32)(x))
    logits, activations = (lent(*pair) for pair in zip(values, follows, strict=True))
    return logits, activations


def in_float32(scores: torch.Tensor) -> torch.Tensor:
    """Return scores (N, K) in float32 with the same first choices; integers are left for `check_logits` to refuse.

    Rounding from double precision may make scores equal or infinite. A row whose first choice that would move, or that
    lies so high that its leads would be rounded away, is given by the distance from its greatest score, which float32
    holds equally well at any height. Each row by itself: a model must not hide a lead by its other samples.
    """
    if scores.dtype != torch.float64 or scores.ndim != 2:
        return scores.float() if scores.is_floating_point() else scores
    narrow, known = scores.float(), scores.detach()
    if scores.shape[1] < 2:
        return narrow
    top = known.amax(dim=1, keepdim=True)
    high = known.abs().amax(dim=1, keepdim=True) > _MOST_HEIGHT * (top - known.amin(dim=1, keepdim=True))
    moved = narrow.argmax(dim=1, keepdim=True) != known.argmax(dim=1, keepdim=True)
    beyond = (narrow.isinf() & known.isfinite()).any(dim=1, keepdim=True)
    below = (scores - top).clamp(min=torch.finfo(torch.float32).min).float()
    return torch.where(high | moved | beyond, below, narrow)


def check_logits(classifier: Classifier, example: torch.Tensor) -> int:
    """Return the number of classes of a forward pass; anything but finite (N, K), K > 1, is refused."""
    with torch.no_grad():
        logits = classifier.logits(example)
    if logits.ndim != 2 or len(logits) != len(example):
        raise UnexaminableError(
            f"the model maps {len(example)} inputs to a tensor of shape {tuple(logits.shape)}; "
            "expected one row of class scores per input"
        )
    if logits.shape[1] < 2:
        raise UnexaminableError("the model yields no number a sample; expected class scores or one logit")
    if logits.shape[1] > MAX_CLASSES:
        raise UnexaminableError(f"the model has {logits.shape[1]} outputs; this gate examines at most {MAX_CLASSES}")
    if not torch.isfinite(logits).all():
        raise NotFiniteError("the model yields NaN or infinite scores on clean samples")
    return logits.shape[1]


def rows(logits: torch.Tensor) -> torch.Tensor:
    """Return scores (N, K, 1, …) or (N, 1, K), as convolutions and sequences leave them, as (N, K); others as given."""
    long = [size for size in logits.shape[1:] if size != 1]
    return logits.reshape(len(logits), *long) if logits.ndim > 2 and len(long) == 1 else logits


def flat(activations: torch.Tensor) -> torch.Tensor:
    """Return activations as (N, D): spatial maps (N, D, h, w) and sequences (N, T, D) are averaged over positions."""
    if activations.ndim == 4:
        return activations.mean(dim=(2, 3))
    if activations.ndim == 3:
        return activations.mean(dim=1)
    return activations.reshape(len(activations), -1)
