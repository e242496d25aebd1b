"""How much of a scan is the model's own arithmetic, forward and backward, and how much is the gate's.

    python -m benchmarks.model_share [--models fit-004,fit-013] [--policy FILE]

Runs the policy's detectors that need the model on models of the zoo's fit split, in one process and one thread, and
notes every batch that goes through the model and whether its gradient is asked for. Then the same batches go through
the model alone, forward and, where it was asked for, backward to the input. The share is the second's processor time
over the first's, side by side in one run. Seed 0. Detectors over suspects look at the class with the smallest patch.
"""

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from benchmarks.efficacy.tables import markdown
from benchmarks.fit_models import fit_entries, subject_of
from benchmarks.zoo.store import Store
from gate import detectors
from gate.detectors.contract import Need
from gate.policies.packaged import DEFAULT
from gate.policies.read import read_policy
from gate.records.clock import today
from gate.records.declarations import Space
from gate.records.evidence import Location, Measurement
from gate.records.policy import Policy
from gate.records.run import Run
from gate.spaces.subject import Classifier, ImageClassifier, Subject, Trigger, Yield

Batch = tuple[int, bool, bool]
"""Images, whether a gradient is asked for, whether activations are."""


@dataclass
class Noted:
    """A classifier that notes what passes through it."""

    inner: ImageClassifier
    batches: Counter[Batch] = field(default_factory=Counter)
    sample_passes: int = 0

    def __post_init__(self) -> None:
        self.num_classes, self.input_shape = self.inner.num_classes, self.inner.input_shape
        self.bounds, self.feature_layer = self.inner.bounds, self.inner.feature_layer

    @property
    def gradient_passes(self) -> int:
        """Those of the model itself."""
        return self.inner.gradient_passes

    @property
    def space(self) -> Space:
        """What the model itself takes."""
        return self.inner.space

    @property
    def arithmetic(self) -> str:
        """How the model itself runs."""
        return self.inner.arithmetic

    def quick_logits(self, x: torch.Tensor) -> torch.Tensor:
        """Pass on and note."""
        self._note(x, activations=False)
        return self.inner.quick_logits(x)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Pass on and note."""
        self._note(x, activations=False)
        return self.inner.logits(x)

    def activations(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Pass on and note."""
        self._note(x, activations=True)
        return self.inner.activations(x)

    def _note(self, x: torch.Tensor, *, activations: bool) -> None:
        self.sample_passes += len(x)
        self.batches[len(x), torch.is_grad_enabled() and x.requires_grad, activations] += 1


@dataclass(frozen=True)
class Row:
    """What one detector took."""

    name: str
    passes: int
    seconds: float
    alone: float

    def cells(self) -> tuple[str, ...]:
        """Return the row of the table."""
        share = f"{self.alone / self.seconds:.0%}" if self.seconds else "–"
        return self.name, f"{self.passes:,}", f"{self.seconds:.1f}", f"{self.alone:.1f}", share


def scan(subject: Subject, classifier: ImageClassifier, policy: Policy) -> Iterator[Row]:
    """Run the detectors one after the other, each followed by its batches through the model alone."""
    suspect: dict[Location, Trigger] = {}
    noted = Noted(classifier)  # one for all, since a suspect's second search goes through the model of the first
    for stage in policy.plan():
        for name in stage.detectors:
            detector = detectors.load(name)
            if Need.MODEL not in detector.needs or Need.TRAINING_SET in detector.needs:
                continue
            before, passes = Counter(noted.batches), noted.sample_passes
            given = replace(subject, classifier=noted)
            if stage.over == "suspects":
                given = replace(given, suspects=tuple(suspect), triggers=suspect)
            started = time.process_time()
            options = detector.options.model_validate(dict(policy.options_of(name)))
            found = list(detector.measure(given, options, Run(seed=policy.seed)))
            seconds = time.process_time() - started
            suspect = suspect or smallest(found)
            batches = noted.batches - before
            yield Row(name, noted.sample_passes - passes, seconds, alone(subject, classifier, batches))


def smallest(found: list[Yield]) -> dict[Location, Trigger]:
    """Return the smallest trigger of a search by its place; nothing where no search ran."""
    triggers = {item.location: item for item in found if isinstance(item, Trigger)}
    sizes = [item for item in found if isinstance(item, Measurement) and item.metric == "size"]
    places = [item.location for item in sorted(sizes, key=lambda size: size.value) if item.location in triggers]
    return {place: triggers[place] for place in places[:1] if place is not None}


def alone(subject: Subject, classifier: Classifier, batches: Counter[Batch]) -> float:
    """Return the processor seconds that the same batches take through the model alone."""
    assert subject.samples is not None
    seconds = 0.0
    for (count, gradient, activations), times in batches.items():
        repeats = -(-count // len(subject.samples.inputs))
        x = subject.samples.inputs.repeat(repeats, 1, 1, 1)[:count].clone().requires_grad_(gradient)
        started = time.process_time()
        with torch.set_grad_enabled(gradient):
            for _ in range(times):
                logits = classifier.activations(x)[0] if activations else classifier.logits(x)
                if gradient:
                    torch.autograd.grad(logits.sum(), x)
        seconds += time.process_time() - started
    return seconds


def main() -> None:
    """Print a table for each model."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--models", default="fit-004,fit-013", help="names, separated by commas")
    parser.add_argument("--policy", type=Path, default=DEFAULT)
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "gate-zoo")
    given = parser.parse_args()
    torch.set_num_threads(1)
    store, policy = Store(given.cache), read_policy(given.policy, on=today())
    wanted = set(given.models.split(","))
    for entry in fit_entries(store):
        if entry.name not in wanted:
            continue
        subject = subject_of(entry, store)
        rows = list(scan(subject, subject.images, policy))
        rows.append(Row("all", sum(r.passes for r in rows), sum(r.seconds for r in rows), sum(r.alone for r in rows)))
        print(f"{entry.name} ({entry.recipe.row.task}, {entry.recipe.row.architecture})")
        head = ("detector", "passes", "processor s", "the model alone", "share")
        print(markdown(head, [row.cells() for row in rows]))


if __name__ == "__main__":
    main()
