"""How many images may go through a model at once, so that what is kept for the backward pass fits into a budget.

Asked once per scan, before any detector runs. Large models on large images keep a hundred megabytes an image; the same
number of images that fills a small net well would need more memory than a machine has.
"""

import torch

from gate.spaces.subject import Classifier

GRADIENTS = 2
"""Bytes in use per byte kept: gradients and temporaries come on top while the backward pass runs."""


def largest_batch(classifier: Classifier, inputs: torch.Tensor, budget: int, most: int) -> int:
    """Return how many raw inputs (N, C, H, W), N at least 1, may share a pass of `budget` bytes; from 1 to `most`."""
    one = kept_bytes(classifier, inputs[:1])
    # Weights are kept once, however many images there are: the difference is what an image costs.
    another = kept_bytes(classifier, inputs[:1].expand(2, -1, -1, -1)) - one
    each = max(another, inputs[:1].nbytes) * GRADIENTS
    return max(1, min(most, budget // each))


def kept_bytes(classifier: Classifier, inputs: torch.Tensor) -> int:
    """Return the bytes of all tensors that one forward pass keeps for the gradient of its inputs."""
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    given = inputs.detach().clone().requires_grad_()
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        logits = classifier.logits(given)
    # The graph lives until here, so that no two tensors had the same address.
    del logits
    return sum(kept.values())
