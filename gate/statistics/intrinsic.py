"""What belongs to a class by nature: the share of its clean features that alone decides for it.

The mask of the cosine-penalised maximum margin (MMBD-CSO, ICML 2026): per class, weights in [0, 1] on the features such
that the last layer still chooses the class from what is kept and cannot from what is left out. Uses the last layer
alone, so that beyond one pass over the samples it costs nothing.
"""

import torch
from torch.nn import functional

from gate.records.errors import UnexaminableError
from gate.records.run import Run
from gate.spaces.subject import Classifier, Head, Samples
from gate.statistics.subsets import balanced

STEPS = 20
LEARNING_RATE = 0.05


def intrinsic_features(classifier: Classifier, head: Head, samples: Samples, per_class: int, run: Run) -> torch.Tensor:
    """Return for each class the mean of its kept clean features, (K, D)."""
    if samples.labels is None:
        raise UnexaminableError("a class's own features need labelled samples")
    chosen = balanced(samples, per_class * classifier.num_classes, run.seed)
    assert chosen.labels is not None
    labels, features = chosen.labels, []
    if absent := sorted(set(range(classifier.num_classes)) - set(labels.tolist())):
        raise UnexaminableError(f"a class's own features need samples of each class; class {absent[0]} has none")
    with torch.no_grad():
        for chunk in torch.split(chosen.inputs, run.max_batch):
            run.check_time()
            features.append(classifier.activations(chunk)[1])
    kept = _masks(torch.cat(features), labels, head)[labels] * torch.cat(features)
    sums = kept.new_zeros(classifier.num_classes, kept.shape[1]).index_add_(0, labels, kept)
    return sums / torch.bincount(labels, minlength=classifier.num_classes).unsqueeze(1)


def _masks(features: torch.Tensor, labels: torch.Tensor, head: Head) -> torch.Tensor:
    """Return masks (K, D) under which the kept features decide for the class and the others do not."""
    masks = torch.full((len(head.weight), features.shape[1]), 0.5, device=features.device).requires_grad_()
    optimiser = torch.optim.Adam([masks], lr=LEARNING_RATE)
    for _ in range(STEPS):
        own = masks[labels]
        kept, left = ((part * features) @ head.weight.T + head.bias for part in (own, 1 - own))
        loss = functional.cross_entropy(kept, labels) - functional.cross_entropy(left, labels)
        (masks.grad,) = torch.autograd.grad(loss, [masks])
        optimiser.step()
        with torch.no_grad():
            masks.clamp_(0, 1)
    return masks.detach()
