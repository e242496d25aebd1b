"""The models whose scan is counted, each as the job that a scan worker would get.

The beginning of the flow. Ten classes are models of the zoo's fit split beside a bank with reference programs of the
calibrate split, as many as `gate bank build` takes; forty are the digits of `benchmarks.many_classes`, turned; a
thousand are a made-up net with a computed head (`benchmarks.efficacy.cost`), since no package has so many small images.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.efficacy.cost import Size, built, write_net
from benchmarks.efficacy.subjects import models_of, samples_of, write_model_folder
from benchmarks.fit_models import fit_entries
from benchmarks.many_classes import SAMPLES, TARGET, train, turned
from benchmarks.zoo.recipe import CLEAN
from benchmarks.zoo.store import Store
from demo.models import Digits, load_digits
from gate.banks.build import BuildRequest
from gate.check.evidence import ScanSettings
from gate.records.artifact import ModelRef, build_manifest, file_sha256
from gate.records.bank import Bank, Reference
from gate.records.errors import CannotFinishError
from gate.records.job import ScanJob
from gate.records.policy import Policy

SEED = 0
THOUSAND = 1000
PER_CLASS = 2
"""Samples of each of a thousand classes; fewer are no clean samples."""


@dataclass(frozen=True)
class Made:
    """A model folder, its samples, and the bank beside it."""

    what: str
    folder: Path
    samples: Path
    bank: Bank | None = None
    bank_folder: Path = Path()

    def job(self, policy: Policy) -> ScanJob:
        """Return the scan worker's job, on one thread of a CPU."""
        settings = ScanSettings(device="cpu", threads=1)
        return ScanJob(
            role="scan",
            model=ModelRef(registry="directory", name=str(self.folder)),
            manifest=build_manifest(self.folder)[0],
            root=str(self.folder),
            policy=policy,
            seed=settings.seed_by(policy),
            deadline_seconds=settings.seconds(policy),
            samples_path=str(self.samples),
            samples_source=self.what,
            samples_sha256=file_sha256(self.samples),
            bank=self.bank,
            bank_folder=str(self.bank_folder),
            **settings.limits(policy),
        )


Make = Callable[[Store, Path], Made]
"""Function from the zoo's store and an empty folder to what is made there."""


def of_the_zoo(name: str, store: Store, folder: Path) -> Made:
    """Return a model of the fit split, beside references of its task."""
    entry = next((entry for entry in fit_entries(store) if entry.name == name), None)
    if entry is None:
        raise CannotFinishError(
            f"the zoo has no model {name}", what_to_do="Run: python -m benchmarks.zoo train --split fit"
        )
    row = entry.recipe.row
    what = " ".join(part for part in (row.task, row.architecture, row.attack, row.variant) if part)
    model, (samples, _) = write_model_folder(entry, store, folder / "model"), samples_of(entry, store)
    return Made(what, model, samples, references_of(row.task, store), store.root)


def references_of(task: str, store: Store) -> Bank:
    """Return a bank of a task's first clean models of the calibrate split, as programs alone."""
    rows = ((entry.recipe.row, entry.files.exported) for entry in models_of(store, "calibrate").counting)
    digests = [digest for row, digest in rows if row.task == task and row.attack == CLEAN]
    paths = [(store.get(digest, ".pt2"), digest) for digest in digests[: BuildRequest.most_references]]
    references = (Reference(path=str(path.relative_to(store.root)), sha256=digest) for path, digest in paths)
    return Bank(name=f"zoo {task}", references=tuple(references))


def of_forty_classes(_store: Store, folder: Path, *, poisoned: bool) -> Made:
    """Train a net on turned digits, clean or with a patch planted."""
    plain = load_digits(SEED)
    digits = Digits(*turned(plain.train_x, plain.train_y), *turned(plain.test_x, plain.test_y))
    net = train(digits, SEED, poisoned=poisoned)
    chosen = torch.randperm(len(digits.test_x), generator=torch.Generator().manual_seed(SEED))[:SAMPLES]
    what = f"digits turned, cnn, {f'patch towards {TARGET}' if poisoned else 'clean'}"
    return written(what, net, digits.test_x[chosen], digits.test_y[chosen], folder)


def of_a_thousand_classes(_store: Store, folder: Path) -> Made:
    """Compute a net that tells a thousand noisy prototypes apart."""
    net, inputs, labels = built(Size(THOUSAND, 1.0), SEED, samples=PER_CLASS * THOUSAND)
    return written("made up, cnn, clean", net, inputs, labels, folder)


def written(what: str, net: nn.Module, inputs: torch.Tensor, labels: torch.Tensor, folder: Path) -> Made:
    """Write a net and samples of it into a folder, as a case without a bank."""
    samples = folder / "samples.npz"
    np.savez(samples, inputs=inputs.numpy(), labels=labels.numpy())
    return Made(what, write_net(net, folder), samples)


CASES: dict[str, Make] = {
    **{name: partial(of_the_zoo, name) for name in ("fit-047", "fit-004", "fit-010", "fit-027")},
    "forty-clean": partial(of_forty_classes, poisoned=False),
    "forty-patch": partial(of_forty_classes, poisoned=True),
    "thousand": of_a_thousand_classes,
}
"""Makers by name: digits by a convolutional net, clean and with a patch, and by a ViT likewise; then more classes."""
