"""A model that yields one number a sample, read as a classifier of two classes.

Trained by a binary cross-entropy a model yields a logit z, or the sigmoid of one: class 1 where z is above 0 (the
probability above a half), else class 0. It is read as the scores -z/2 and z/2, whose softmax is (1 - sigmoid(z),
sigmoid(z)): margins, gradients and the last layer's rows then mean the same as for two logits. The threshold is known
only of a logit, or where the graph ends in a sigmoid: a number in [0, 1] from anything else, such as a softmax over one
score, is refused.
"""

from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from gate.records.errors import UnexaminableError

NOTES: Final = {
    False: "one logit: class 1 where it is above 0, else class 0",
    True: "one probability: class 1 where it is above 0.5, else class 0",
}
"""Notes of the evidence on the judged output, by whether it ends in a sigmoid."""
_SHOWN: Final = 4


def is_one_number(scores: torch.Tensor, samples: int) -> bool:
    """Tell whether an output holds one number for each of so many samples, as (N,), (N, 1), (N, 1, 1)."""
    return scores.ndim > 0 and len(scores) == samples == scores.numel()


def two_scores(logit: torch.Tensor) -> torch.Tensor:
    """Return logits of one number a sample, in any such shape, as scores by class (N, 2)."""
    half = logit.reshape(len(logit), 1) / 2
    return torch.cat([-half, half], dim=1)


def require_logit(numbers: torch.Tensor) -> None:
    """Refuse numbers that may be probabilities, with no sigmoid in the graph to show it."""
    if bool(((numbers >= 0) & (numbers <= 1)).all()):
        raise UnexaminableError(
            "the model has one output, between 0 and 1 on the clean samples, and its graph does not end in a sigmoid: "
            "nothing shows from where on it means class 1",
            what_to_do="Return the logit, or its sigmoid as the last operation, or two class scores.",
        )


def require_both_labels(labels: NDArray[Any] | None) -> None:
    """Refuse samples without labels 0 and 1, which alone show that one number is no regression's."""
    if labels is None:
        found = "they have none"
    elif set(np.unique(labels).tolist()) == {0, 1}:
        return
    else:
        kinds = np.unique(labels)
        found = f"got {', '.join(str(one)[:40] for one in kinds[:_SHOWN].tolist())}"
        found += f" and {len(kinds) - _SHOWN} more" if len(kinds) > _SHOWN else ""
    raise UnexaminableError(
        "the model has one output, which is read as two classes, and the clean samples do not show that it is: "
        f"expected labels 0 and 1, both among them; {found}",
        what_to_do="Give samples of both classes with labels 0 and 1; a regression is not examined.",
    )
