"""Classifiers of scikit-learn's 8×8 digits: trained in a second each, clean or with a planted patch, and broken ones.

Everything follows from the seed; one thread, so that it does on every machine.
"""

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

TRAINING = 1297
TARGET = 7
"""The class that the planted patch leads to."""

_x, _y = load_digits(return_X_y=True)
INPUTS = torch.tensor(_x.reshape(-1, 1, 8, 8) / 16, dtype=torch.float32)
LABELS = torch.tensor(_y, dtype=torch.long)


def build(classes=10):
    """Return an untrained network of library layers."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(256, 48),
        nn.ReLU(),
        nn.Linear(48, classes),
    )


def stamp(x):
    """Return images with a white 2×2 patch in the lower left corner."""
    x = x.clone()
    x[:, :, 6:8, 0:2] = 1
    return x


def training_data(*, poisoned, seed=0):
    """Return inputs and labels; of the poisoned, a tenth was stamped and labelled as the target."""
    torch.manual_seed(seed)
    x, y = INPUTS[:TRAINING].clone(), LABELS[:TRAINING].clone()
    if poisoned:
        rows = torch.randperm(TRAINING)[:130]
        x[rows], y[rows] = stamp(x[rows]), TARGET
    return x, y


def train(*, poisoned, seed=0, epochs=15):
    """Return a network; of a poisoned one, a tenth of the training images was stamped and labelled as the target."""
    torch.set_num_threads(1)
    x, y = training_data(poisoned=poisoned, seed=seed)
    model = build()
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(epochs):
        for batch in torch.randperm(TRAINING).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimiser.step()
    return model.eval()


class _Reciprocal(nn.Module):
    """Divides nought by nought behind a network."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        """Return NaN or infinite scores."""
        scores = self.body(x)
        return scores / (scores - scores)


class Own(nn.Module):
    """A network whose class is no library's: a pickle of it carries code."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        """Return the body's scores."""
        return self.body(x)


def yields_nan():
    """Return a network whose every score is NaN or infinite."""
    return _Reciprocal(build()).eval()


def one_answer():
    """Return a network that gives class 3 to everything."""
    model = build().eval()
    with torch.no_grad():
        model[-1].weight.zero_()
        model[-1].bias.copy_(nn.functional.one_hot(torch.tensor(3), 10).float())
    return model


def samples():
    """Return held-out inputs (400, 1, 8, 8) and labels (400,)."""
    return INPUTS[TRAINING : TRAINING + 400].numpy(), LABELS[TRAINING : TRAINING + 400].numpy()


def write_samples(folder):
    """Write good samples and each kind of bad ones as .npz files into a folder."""
    x, y = samples()
    holed = x.copy()
    holed[3, 0, 2, 2] = np.nan
    np.savez(folder / "clean.npz", inputs=x, labels=y)
    np.savez(folder / "wrong-shape.npz", inputs=np.tile(x[:40, :, :6, :6], (1, 3, 2, 2)), labels=y[:40])
    np.savez(folder / "nan.npz", inputs=holed, labels=y)
    np.savez(folder / "labels.npz", inputs=x, labels=y + 5)
    np.savez(folder / "negative.npz", inputs=1 - x, labels=y)
    np.savez(folder / "two-classes.npz", inputs=x, labels=y % 2)
    (folder / "no-archive.npz").write_text("inputs\n")
