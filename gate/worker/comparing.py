"""A program beside the layers that it was exported from, on clean samples: the same logits within rounding."""

from collections.abc import Callable
from typing import Any, Final

import torch

from gate.programs import Program
from gate.programs.batching import static_batch
from gate.programs.numbers import TOLERANCE
from gate.records.errors import UnexaminableError
from gate.worker.loading.one_logit import is_one_number

Answers = Callable[..., Any]
"""The layers: from samples (n, …), one tensor for each input, to logits (n, K)."""
COMPARED_SAMPLES: Final = 64
"""Clean samples on which a program that torch exported is compared with the layers that it was exported from."""
EXACT: Final = 1e-5
"""Largest difference of logits, as a share of the largest one; for half types `TOLERANCE`."""


def differing(answers: Answers, program: Program, *given: torch.Tensor) -> float:
    """Return how far the logits of the layers and of the program lie apart, as a share of the largest logit.

    More than rounding, or another first choice on any sample, is refused (docs/reference/contracts.md, section 8).
    """
    size = static_batch(program)
    chunks = zip(*(torch.split(one, size) for one in given), strict=True) if size else (given,)
    greatest = 0.0
    with torch.no_grad():
        for chunk in chunks:
            if size is not None and len(chunk[0]) != size:
                continue  # the rest of a batch whose size is fixed
            expected, found = answers(*chunk), program(*chunk)
            if not isinstance(expected, torch.Tensor) or not isinstance(found, torch.Tensor):
                raise UnexaminableError("the layers do not return one tensor, so that nothing shows what was written")
            apart = float((expected - found).abs().max() / expected.abs().max().clamp_min(1e-30))
            if not apart <= TOLERANCE.get(expected.dtype, EXACT):
                raise UnexaminableError(f"the exported program's logits differ from its layers' by {apart:.2g}")
            if not torch.equal(_choices(expected), _choices(found)):
                raise UnexaminableError("the exported program chooses another class than its layers do")
            greatest = max(greatest, apart)
    return greatest


def _choices(scores: torch.Tensor) -> torch.Tensor:
    """Return the choice by scores: the greatest, or of one number whether it is above 0 and above a half."""
    if is_one_number(scores, len(scores)):
        return torch.stack([scores.reshape(-1) > threshold for threshold in (0.0, 0.5)])
    return scores.flatten(1).argmax(1)
