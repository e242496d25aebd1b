"""Real colour pictures at 160 × 160 on which nets of 1000 classes are measured, and taught a backdoor.

Between `packages` and `making`. Packages hold only twenty labelled pictures of ImageNet. Others stand in for clean
images: drawings of openclipart, and crops of the sample photos of OpenCV and scikit-image. They have no labels of
ImageNet's; where clean nets agree on one, that is a *pseudo-label*, which says what these nets see and not what is
there. Drawings are split by folder and crops by photo, so that no subject is in two parts.
"""

import hashlib
import random
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.zoo import sources
from benchmarks.zoo.packaged.packages import LABELLED, PHOTOS, Site
from gate.records.errors import CannotFinishError

SIDE = 160
"""The smallest side at which the nets still do on the twenty labelled pictures what they do at 224."""

SEED = 20_221_122
DRAWINGS = {"teach": 1000, "held-out": 300}
CROPS = {"teach": 24, "held-out": 20}
"""By photo."""

_TEACH_PHOTOS = ("astronaut.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")
_HELD_OUT_PHOTOS = ("chelsea.png", "hubble_deep_field.jpg", "ihc.png", "retina.jpg")
_MAX_PIXELS = 500_000


@dataclass(frozen=True)
class Pictures:
    """Inputs (N, 3, 160, 160) in [0, 1]."""

    teach: torch.Tensor
    """What the backdoor is taught on."""
    held_out: torch.Tensor
    labelled: torch.Tensor
    labels: torch.Tensor
    """ImageNet's labels (20,) of the labelled ones."""


def read_pictures(site: Site) -> Pictures:
    """Return all pictures, the same at every call."""
    labelled, labels = read_labelled(site, "imagenet")
    return Pictures(_part(site, "teach"), _part(site, "held-out"), labelled, labels)


def read_labelled(site: Site, data_set: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the twenty labelled samples of ImageNet, squeezed to the common side, or of CIFAR-10 as they are."""
    side = SIDE if data_set == "imagenet" else 32
    first = site.need(LABELLED, f"foolbox/data/{data_set}_00_*.*")
    paths = sorted(first.parent.glob(f"{data_set}_*.*"))
    images = [Image.open(path).convert("RGB").resize((side, side), Image.Resampling.BICUBIC) for path in paths]
    return _tensor(images), torch.tensor([int(path.stem.rsplit("_", 1)[1]) for path in paths])


def _part(site: Site, part: str) -> torch.Tensor:
    return torch.cat([_tensor(_drawings(site, part)), _tensor(_crops(site, part))])


def _drawings(site: Site, part: str) -> Iterator[Image.Image]:
    """Yield drawings on white, made square; a folder is in one part alone."""
    paths = sorted(site.openclipart.rglob("*.png"))
    if len(paths) < sum(DRAWINGS.values()):
        raise CannotFinishError(
            f"the pictures of openclipart are missing: expected thousands in {site.openclipart}, found {len(paths)}",
            what_to_do="Install them: apt-get install openclipart-png; or set GATE_ZOO_OPENCLIPART.",
        )
    mine = [path for path in paths if _held_out(path.parent.relative_to(site.openclipart)) == (part == "held-out")]
    random.Random(SEED).shuffle(mine)
    left = DRAWINGS[part]
    for path in mine:
        drawn = _opened(path)
        if drawn is None:
            continue
        drawn.thumbnail((SIDE, SIDE), Image.Resampling.BICUBIC)
        white = Image.new("RGB", (SIDE, SIDE), (255, 255, 255))
        white.paste(drawn, ((SIDE - drawn.width) // 2, (SIDE - drawn.height) // 2), drawn)
        yield white
        left -= 1
        if not left:
            return


def _opened(path: Path) -> Image.Image | None:
    """Return a drawing with its transparency; None for a tiny or enormous one, of which there are some."""
    try:
        with (
            warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning),
            Image.open(path) as image,
        ):
            fits = image.width * image.height <= _MAX_PIXELS and min(image.size) >= SIDE // 2
            return image.convert("RGBA") if fits else None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None


def _held_out(folder: Path) -> bool:
    return hashlib.sha256(folder.as_posix().encode()).digest()[0] % 2 == 0


def _crops(site: Site, part: str) -> Iterator[Image.Image]:
    """Yield square crops of photos, from a third of the shorter side to all of it."""
    rng = random.Random(f"{SEED}-{part}")
    names = (sources.TRAIN_PHOTOS, _TEACH_PHOTOS) if part == "teach" else (sources.HELD_OUT_PHOTOS, _HELD_OUT_PHOTOS)
    own = site.need(PHOTOS, "skimage/data/chelsea.png").parent
    for path in [*(sources.OPENCV / name for name in names[0]), *(own / name for name in names[1])]:
        if not path.is_file():
            raise CannotFinishError(f"the photo {path} is missing", what_to_do="apt-get install opencv-doc")
        photo = Image.open(path).convert("RGB")
        for _ in range(CROPS[part]):
            side = int(min(photo.size) * rng.uniform(0.33, 1.0))
            left, top = rng.randint(0, photo.width - side), rng.randint(0, photo.height - side)
            yield photo.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def _tensor(images: Iterable[Image.Image]) -> torch.Tensor:
    pixels = np.stack([np.asarray(image) for image in images])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().float() / 255
