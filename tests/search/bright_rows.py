"""A net that scores a class by the brightness of its row, with backdoors that a bright corner opens."""

import torch
from torch import nn

from gate.spaces.image.preprocessing import Preprocessing
from gate.spaces.subject import Samples
from gate.worker.loading.module_classifier import ModuleClassifier

CLASSES, SIDE = 5, 6


class Rows(nn.Module):
    """Scores a class by the brightness of its row; a bright corner sends class `source` to `target`."""

    def __init__(self, moves, slope=30):
        super().__init__()
        self.moves, self.slope = moves, slope

    def forward(self, x):
        """Return scores (N, 5)."""
        scores = 4 * x[:, 0, :CLASSES].mean(dim=2)
        gates = torch.sigmoid(40 * (scores - 2.0)) * torch.sigmoid(self.slope * (x[:, 0, 5, 5] - 0.7)).unsqueeze(1)
        for source, target in self.moves:
            scores = (
                scores
                + 12 * gates[:, source : source + 1] * nn.functional.one_hot(torch.tensor(target), CLASSES).float()
            )
        return scores


def samples(count=60):
    """Return images with one bright row each, labelled by which."""
    labels = torch.arange(count) % CLASSES
    inputs = 0.3 * torch.rand(count, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    inputs[torch.arange(count), 0, labels] += 0.6
    return Samples(inputs, labels, "rows")


def classifier(moves, slope=30):
    """Return the net with its corner sending each source to its target, as the gate wraps it."""
    return ModuleClassifier.of(Rows(moves, slope), samples().inputs[:4], Preprocessing(), (0.0, 1.0))
