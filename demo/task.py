"""What a demo is about: a task of which a clean and a poisoned model are trained, registered and checked."""

from pathlib import Path
from typing import Protocol

from demo.models import Trained, load_digits, target_of, train
from demo.registry import DIGITS, DemoRegistry, save_samples
from gate.records.report import Report


class Task(Protocol):
    """A task by a seed."""

    name: str
    """Name of the registered model."""
    noun: str
    policy: str
    data: str
    """What is learnt from, for the line of progress."""
    planted: str
    """What the poisoned version answers to, and the class that it then gives."""

    def save_samples(self, to: Path) -> Path:
        """Write clean held-out samples below a folder and return their file."""
        ...

    def train(self, *, poisoned: bool) -> Trained:
        """Return a trained model."""
        ...

    def register(self, registry: DemoRegistry, trained: Trained, description: str) -> str:
        """Log and register a model, and return its version number."""
        ...

    def named(self, report: Report) -> str:
        """Return what a report names: target classes, and a trigger where it has a name."""
        ...


def target_classes(report: Report) -> str:
    """Return the classes that a limit names, with commas between."""
    return ", ".join(map(str, report.verdict.target_classes)) if report.verdict else ""


class DigitTask:
    """Digits with a patch in the corner of some."""

    name, noun, policy = DIGITS, "digit classifier", "default"

    def __init__(self, seed: int) -> None:
        self._seed, self._digits = seed, load_digits(seed)
        self.planted = str(target_of(seed))
        self.data = f"{len(self._digits.train_x)} images"

    def save_samples(self, to: Path) -> Path:
        """Write an .npz."""
        return save_samples(self._digits, to / "clean.npz")

    def train(self, *, poisoned: bool) -> Trained:
        """Train a small convolutional network."""
        return train(self._digits, self._seed, poisoned=poisoned)

    def register(self, registry: DemoRegistry, trained: Trained, description: str) -> str:
        """Log it in MLflow's default format."""
        return registry.register(trained.model, self._digits.test_x[:2], description)

    def named(self, report: Report) -> str:
        """Return the target classes."""
        return target_classes(report)
