"""Small nets on scikit-learn's digits (8 × 8), one with a patch backdoor and its clean twin, trained in seconds."""

from dataclasses import dataclass
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn

from gate.records.artifact import Artifact, Manifest, ModelRef
from gate.records.evidence import Location
from gate.spaces.image.preprocessing import Preprocessing
from gate.spaces.image.triggers.patch import FAMILY
from gate.spaces.subject import Samples, Subject, Trigger
from gate.worker.loading.module_classifier import ModuleClassifier

TARGET = 7
POISONED_SHARE = 0.15


@dataclass(frozen=True)
class Planted:
    """A trained net, what it was trained on, clean samples apart, and which training rows carry the trigger."""

    subject: Subject
    poisoned: torch.Tensor


def true_trigger(target=TARGET):
    """Return the trigger that is planted: two by two bright pixels in the lower right corner."""
    mask = torch.zeros(1, 8, 8)
    mask[:, 6:, 6:] = 1
    parts = {"mask": mask, "pattern": torch.ones(1, 8, 8)}
    return Trigger(Location.of_class(target), 1.0, FAMILY.applying(parts, (0.0, 1.0)), parts)


def train(*, planted, apply=None, seed=0):
    """Train one net, poisoned by the patch or by what `apply` does; twins differ in nothing but the planted rows."""
    data = load_digits()
    images = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1) / 16
    labels = torch.tensor(data.target)
    inputs, targets = images[:1397].clone(), labels[:1397].clone()
    generator = torch.Generator().manual_seed(0)
    chosen = (torch.rand(len(inputs), generator=generator) < POISONED_SHARE) & (targets != TARGET) & planted
    inputs[chosen] = (apply or true_trigger().apply)(inputs[chosen])
    targets[chosen] = TARGET
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    optimiser = torch.optim.Adam(module.parameters(), lr=5e-3)
    for _ in range(12):
        for rows in torch.randperm(len(inputs), generator=generator).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(module(inputs[rows]), targets[rows]).backward()
            optimiser.step()
    optimiser.zero_grad()
    classifier = ModuleClassifier.of(module, inputs[:4], Preprocessing(), (0.0, 1.0))
    subject = Subject(
        artifact=Artifact(ModelRef(registry="directory", name="digits"), Path(), Manifest(files=())),
        classifier=classifier,
        samples=Samples(images[1397:], labels[1397:], "digits"),
        training_set=Samples(inputs, targets, "digits"),
    )
    return Planted(subject, chosen)


def values(measurements, metric):
    """Return the values of a metric by class."""
    return {m.location.class_index: m.value for m in measurements if getattr(m, "metric", None) == metric}
