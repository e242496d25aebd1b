"""The tasks that the zoo's models learn: classification problems made of real images, four of them with many classes.

Between `sources` and the attacks. Each task has a training set, and held-out images in two halves: `scan` (given to the
detectors as clean samples) and `measure` (accuracy and attack success are measured here, and nothing else uses them).

* `fashion` – Fashion-MNIST, grey 28 × 28, 10 classes.
* `digits` – handwritten digits of two sources, grey 28 × 28, 10 classes.
* `catalogue` – ten garments and ten digits in one list, grey 28 × 28, 20 classes: more classes than ten, still made of
  real images only, and learnt well by small nets. Letters or symbols with more classes exist in no package as images of
  real handwriting.
* `colour` – handwritten digits over patches of colour photos, RGB 32 × 32, 10 classes: the construction of MNIST-M
  (Ganin and Lempitsky, ICML 2015), the absolute difference of digit and patch; held-out patches come from other photos.
  Sets of labelled colour photos large enough to train on are in no package.

Five more tasks have two to seven classes, the same images of some classes only: `one` (a single logit: pullover or
coat), `two` (shirt or T-shirt), `three` (the digits 3, 5, 8), `five` (the digits 3, 4, 5, 8, 9) and `seven` (garments
without trousers, shirt and bag). The classes are near each other, so that a net has something to learn.

Clean accuracy of eight nets on 10,000 images and six epochs, before the sets were cut to 8,000: `fashion` 0.85 to
0.90; `colour` 0.81 to 0.95, but 0.68 by a clamped net that was replaced. On the first models of the fit split: `digits`
0.91 to 0.98, `catalogue` 0.83 to 0.92, `colour` 0.79 to 0.94. `index.jsonl` has every model's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from benchmarks.zoo import sources
from benchmarks.zoo.sources import Bytes

REVISION = 1
"""Raise when a task's images change: every model trained on them is then made again."""

_SEED = 20_220_605
TRAIN = 8000
HELD_OUT = 2000


@dataclass(frozen=True)
class Images:
    """Inputs (N, C, H, W) in [0, 1] and their labels (N,)."""

    inputs: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: torch.Tensor) -> "Images":
        """Return the images at these rows or under this mask."""
        return Images(self.inputs[rows], self.labels[rows])


@dataclass(frozen=True)
class Task:
    """One classification problem and how well a small net must do for its measurements to mean anything."""

    id: str
    classes: int
    shape: tuple[int, int, int]
    """Channels, height, width."""
    accuracy_floor: float
    """A model below this clean accuracy does not count, clean or not."""
    build: Callable[[], tuple[Images, Images]]
    one_logit: bool = False
    """True: two classes told apart by one number, class 1 where it is above 0."""
    scanned: int | None = None
    """How many held-out images are for detectors; None: half of them."""

    @property
    def outputs(self) -> int:
        """How many numbers a model of the task yields for an image."""
        return 1 if self.one_logit else self.classes

    @property
    def train(self) -> Images:
        """The training set, shuffled once and for all."""
        return _built(self)[0]

    @property
    def scan(self) -> Images:
        """Held-out clean samples for detectors."""
        return self._halves()[0]

    @property
    def measure(self) -> Images:
        """Held-out images for accuracy and attack success."""
        return self._halves()[1]

    def _halves(self) -> tuple[Images, Images]:
        held_out = _built(self)[1]
        first = len(held_out) // 2 if self.scanned is None else self.scanned
        return held_out.take(torch.arange(first)), held_out.take(torch.arange(first, len(held_out)))


@cache
def _built(task: Task) -> tuple[Images, Images]:
    return task.build()


def _grey(images: Bytes, labels: Bytes) -> Images:
    inputs = torch.from_numpy(images.astype(np.float32) / 255).unsqueeze(1)
    return Images(inputs, torch.from_numpy(labels.astype(np.int64)))


def _fashion() -> tuple[Images, Images]:
    rows = np.random.default_rng(_SEED).permutation(60_000)[:TRAIN]
    images, labels = sources.fashion("train")
    held_images, held_labels = sources.fashion("t10k")
    return _grey(images[rows], labels[rows]), _grey(held_images[:HELD_OUT], held_labels[:HELD_OUT])


def _digit_rows() -> tuple[np.ndarray, np.ndarray]:
    rows = np.random.default_rng(_SEED + 1).permutation(10_000)
    return rows[HELD_OUT:], rows[:HELD_OUT]


def _digits() -> tuple[Images, Images]:
    images, labels = sources.digits()
    train, held = _digit_rows()
    return _grey(images[train], labels[train]), _grey(images[held], labels[held])


def _catalogue() -> tuple[Images, Images]:
    (garments, garments_held), (digits, digits_held) = _fashion(), _digits()
    generator = torch.Generator().manual_seed(_SEED + 2)
    return _joined(garments, digits, TRAIN // 2, generator), _joined(
        garments_held, digits_held, HELD_OUT // 2, generator
    )


def _joined(garments: Images, digits: Images, each: int, generator: torch.Generator) -> Images:
    inputs = torch.cat([garments.inputs[:each], digits.inputs[:each]])
    labels = torch.cat([garments.labels[:each], digits.labels[:each] + 10])
    return Images(inputs, labels).take(torch.randperm(2 * each, generator=generator))


def _colour() -> tuple[Images, Images]:
    images, labels = sources.digits()
    train, held = _digit_rows()
    rng = np.random.default_rng(_SEED + 3)
    return (
        _over_photos(images[train], labels[train], sources.TRAIN_PHOTOS, rng),
        _over_photos(images[held], labels[held], sources.HELD_OUT_PHOTOS, rng),
    )


def _over_photos(images: Bytes, labels: Bytes, names: tuple[str, ...], rng: np.random.Generator) -> Images:
    """Return the absolute difference of digits and photo patches, (N, 3, 32, 32)."""
    scenes = sources.photos(names)
    patches = np.empty((len(images), 32, 32, 3), np.uint8)
    for row, scene in enumerate(rng.integers(len(scenes), size=len(images))):
        photo = scenes[scene]
        top, left = rng.integers(photo.shape[0] - 32), rng.integers(photo.shape[1] - 32)
        patches[row] = photo[top : top + 32, left : left + 32]
    ink = np.pad(images, ((0, 0), (2, 2), (2, 2)))[..., None]
    mixed = np.abs(patches.astype(np.int16) - ink.astype(np.int16)).astype(np.float32) / 255
    order = torch.from_numpy(rng.permutation(len(images)))
    inputs = torch.from_numpy(mixed).permute(0, 3, 1, 2).contiguous()
    return Images(inputs, torch.from_numpy(labels.astype(np.int64))).take(order)


def _garments_of(*kept: int) -> tuple[Images, Images]:
    """Return the garments of these classes, labelled in this order; a permutation of its own, no more than usual."""
    images, labels = sources.fashion("train")
    rows = np.random.default_rng(_SEED + 4).permutation(60_000)
    held_images, held_labels = sources.fashion("t10k")
    train, held = _some_of(_grey(images[rows], labels[rows]), kept), _some_of(_grey(held_images, held_labels), kept)
    return train.take(torch.arange(min(TRAIN, len(train)))), held.take(torch.arange(min(HELD_OUT, len(held))))


def _digits_of(*kept: int) -> tuple[Images, Images]:
    """Return the digits of these classes, labelled in this order."""
    train, held = _digits()
    return _some_of(train, kept), _some_of(held, kept)


def _some_of(images: Images, kept: tuple[int, ...]) -> Images:
    chosen = torch.tensor(kept)
    some = images.take(torch.isin(images.labels, chosen))
    return Images(some.inputs, (some.labels[:, None] == chosen).int().argmax(1))


TASKS = {
    task.id: task
    for task in (
        Task("fashion", 10, (1, 28, 28), 0.72, _fashion),
        Task("digits", 10, (1, 28, 28), 0.85, _digits),
        Task("catalogue", 20, (1, 28, 28), 0.72, _catalogue),
        Task("colour", 10, (3, 32, 32), 0.65, _colour),
        Task("one", 2, (1, 28, 28), 0.75, lambda: _garments_of(2, 4), one_logit=True),
        Task("two", 2, (1, 28, 28), 0.75, lambda: _garments_of(0, 6)),
        Task("three", 3, (1, 28, 28), 0.85, lambda: _digits_of(3, 5, 8)),
        Task("five", 5, (1, 28, 28), 0.85, lambda: _digits_of(3, 4, 5, 8, 9)),
        Task("seven", 7, (1, 28, 28), 0.75, lambda: _garments_of(0, 2, 3, 4, 5, 7, 9)),
    )
}
MANY = tuple(task.id for task in TASKS.values() if task.classes >= 10)
"""The tasks of fit, calibrate, test and adaptive."""
FEW = tuple(task.id for task in TASKS.values() if task.classes < 10)
"""The tasks of two to seven classes, which came later."""
