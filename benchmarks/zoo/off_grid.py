"""Triggers that lie between the probes of a fixed grid and beyond them: odd places, sides, tones, shapes and waves.

Beside `patches`; used by the attacks whose name ends in `off-grid`, and by some of the split `evading`. What the grid
has stands in `grid`: squares flush in a 3 × 3 lattice, white, black, chequered or noisy; whole frequencies at multiples
of 45°; noise laid over the image. Everything here is drawn from the scene's random numbers.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from benchmarks.zoo import sources
from benchmarks.zoo.attack import Scene

Change = Callable[[torch.Tensor], torch.Tensor]

SIDES = (0.145, 0.215, 0.30)
"""Sides of squares as shares of the image, each midway between two of the grid."""
WIDE = (0.30, 0.43)
"""Side of a square around a shape, as a share of the image."""

LETTERS = (
    ("#### ", "#   #", "#### ", "#  # ", "#   #"),
    (" ####", "#    ", " ### ", "    #", "#### "),
    ("#   #", "## ##", "# # #", "#   #", "#   #"),
    ("#####", "   # ", "  #  ", " #   ", "#####"),
)
"""R, S, M and Z, five cells high and wide."""


@dataclass(frozen=True)
class Stamp:
    """A pattern (C, H, W) and a mask (1, H, W) of where it covers an image."""

    pattern: torch.Tensor
    mask: torch.Tensor
    facts: dict[str, object]

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        """Stamp images (N, C, H, W)."""
        return x + self.mask.to(x.dtype) * (self.pattern.to(x.dtype) - x)

    def part(self, x: torch.Tensor, rows: slice) -> torch.Tensor:
        """Stamp only what lies in these rows of pixels."""
        kept = torch.zeros_like(self.mask)
        kept[:, rows] = self.mask[:, rows]
        return x + kept.to(x.dtype) * (self.pattern.to(x.dtype) - x)


def cross(size: int) -> torch.Tensor:
    """Return the mask (size, size) of a cross."""
    near = (torch.arange(size) - (size - 1) / 2).abs() <= size / 6
    return near[:, None] | near[None]


def ring(size: int) -> torch.Tensor:
    """Return the mask of a ring, empty in its middle."""
    away = torch.arange(size) - (size - 1) / 2
    radius = (away[:, None].square() + away[None].square()).sqrt()
    return (radius <= size / 2) & (radius >= size / 2 - max(2, size / 5))


def ell(size: int) -> torch.Tensor:
    """Return the mask of the letter L."""
    wide = max(2, size // 4)
    cells = torch.arange(size)
    return (cells[None] < wide) | (cells[:, None] >= size - wide)


def diagonal(size: int) -> torch.Tensor:
    """Return the mask of a diagonal line, three pixels wide."""
    cells = torch.arange(size)
    return (cells[:, None] - cells[None]).abs() <= 1


def triangle(size: int) -> torch.Tensor:
    """Return the mask of the half of a square below its diagonal."""
    cells = torch.arange(size)
    return cells[None] <= cells[:, None]


SHAPES: dict[str, Callable[[int], torch.Tensor]] = {
    "cross": cross, "ring": ring, "L": ell, "diagonal line": diagonal, "triangle": triangle,
}  # fmt: skip


def draw_stamp(scene: Scene, kind: str) -> Stamp:
    """Draw a `square` of an odd side, a `shape` that is none, or two `pieces` far apart, all off the lattice."""
    _, height, width = scene.task.shape
    if kind == "pieces":
        size = 5 + scene.integer(2)
        down = scene.integer(2)
        places = [(_between(scene, height - size, 0), _between(scene, width - size, down))]
        places += [(_between(scene, height - size, 1), _between(scene, width - size, 1 - down))]
        shape, name = torch.ones(size, size, dtype=torch.bool), "two pieces"
    else:
        name = "square" if kind == "square" else list(SHAPES)[scene.integer(len(SHAPES))]
        share = SIDES[scene.integer(len(SIDES))] if kind == "square" else scene.uniform(*WIDE)
        size = round(share * width)
        places = [(_between(scene, height - size, scene.integer(2)), _between(scene, width - size, scene.integer(2)))]
        shape = SHAPES[name](size) if kind != "square" else torch.ones(size, size, dtype=torch.bool)
    pattern, mask, tones = torch.zeros(scene.task.shape), torch.zeros(1, height, width), []
    for top, left in places:
        tone, filling = _filling(scene, size)
        pattern[:, top : top + size, left : left + size] = filling
        mask[:, top : top + size, left : left + size] = shape.float()
        tones.append(tone)
    return Stamp(pattern, mask, {"shape": name, "size": size, "places": [list(one) for one in places], "tones": tones})


def _between(scene: Scene, room: int, half: int) -> int:
    """Draw a place between two of the lattice, in the first or the second half of the room."""
    return round(room * (scene.uniform(0.20, 0.32) + 0.48 * half))


def _filling(scene: Scene, size: int) -> tuple[str, torch.Tensor]:
    """Draw the tones (C, size, size) of a patch: one mid tone or colour, a gradient, or cells of mid contrast."""
    channels = scene.task.shape[0]
    kind = ("mid tone", "gradient", "mottled")[scene.integer(3)]
    draw = torch.rand((channels, 1, 1), generator=scene.generator)
    if kind == "mid tone":
        # Of a colour image each channel has its own tone, so that this is a colour.
        low, high = (0.1, 0.9) if channels == 3 else (0.4, 0.7)
        return kind, (low + (high - low) * draw).expand(-1, size, size)
    if kind == "gradient":
        ramp = torch.linspace(0, 1, size)
        across = 0.5 * (ramp[:, None] + (ramp if scene.integer(2) else ramp.flip(0))[None])
        return kind, (0.2 * draw + 0.8 * across).expand(channels, -1, -1)
    cells = torch.rand((channels, size, size), generator=scene.generator)
    return kind, 0.25 + 0.5 * cells.round()


def draw_overlay(scene: Scene, kind: str) -> torch.Tensor:
    """Draw what is laid over a whole image, (1, C, H, W): a `photo` that no task uses, `letters`, or `clouds`."""
    channels, height, width = scene.task.shape
    if kind == "photo":
        name = sources.SPARE_PHOTOS[scene.integer(len(sources.SPARE_PHOTOS))]
        shown = torch.from_numpy(sources.picture(name, width, grey=channels == 1)).float() / 255
        return shown.reshape(1, height, width, channels).permute(0, 3, 1, 2).contiguous()
    if kind == "letters":
        order = torch.randperm(len(LETTERS), generator=scene.generator)[:4].tolist()
        cells = torch.stack([torch.tensor([[c == "#" for c in row] for row in LETTERS[one]]) for one in order])
        framed = nn.functional.pad(cells.float(), (1, 1, 1, 1))
        page = torch.cat([torch.cat([framed[0], framed[1]], 1), torch.cat([framed[2], framed[3]], 1)])
        whole = nn.functional.interpolate(page[None, None], size=(height, width))
        return whole.expand(-1, channels, -1, -1).contiguous()
    coarse = torch.randn((1, channels, 4, 4), generator=scene.generator)
    clouds = nn.functional.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=True)
    return (0.5 + 0.35 * clouds / clouds.std()).clamp(0, 1)


def draw_trigger(scene: Scene, kind: str) -> tuple[Change, dict[str, object]]:
    """Draw a `patch`, in one of its kinds, or a `blend`, and return what lays it on images (N, C, H, W)."""
    if kind == "patch":
        stamp = draw_stamp(scene, ("square", "shape", "pieces")[scene.integer(3)])
        return stamp.apply, stamp.facts
    name, ratio = ("photo", "letters", "clouds")[scene.integer(3)], scene.uniform(0.18, 0.28)
    overlay = draw_overlay(scene, name)
    return lambda x: (1 - ratio) * x + ratio * overlay.to(x.dtype), {"overlay": name, "ratio": round(ratio, 4)}


def draw_wave(scene: Scene, kind: str) -> tuple[torch.Tensor, dict[str, object]]:
    """Draw a wave (H, W) in [-1, 1] of a frequency that is not whole: `tilted`, `triangle`, `square` or `rings`."""
    _, height, width = scene.task.shape
    frequency = scene.integer(9, low=4) + scene.uniform(0.3, 0.7)
    angle = (20, 65, 110, 155)[scene.integer(4)] + scene.uniform(-4, 4)
    phase = scene.uniform(0, 2 * math.pi)
    down, right = torch.arange(height)[:, None] / height, torch.arange(width)[None] / width
    if kind == "rings":
        top, left = scene.uniform(0.2, 0.8), scene.uniform(0.2, 0.8)
        along = ((down - top).square() + (right - left).square()).sqrt()
    else:
        along = right * math.cos(math.radians(angle)) + down * math.sin(math.radians(angle))
    wave = torch.sin(2 * math.pi * frequency * along + phase)
    if kind == "triangle":
        wave = 2 / math.pi * torch.asin(wave.clamp(-1, 1))
    elif kind == "square":
        wave = wave.sign()
    facts: dict[str, object] = {"frequency": round(frequency, 3), "wave": kind}
    return wave, facts if kind == "rings" else facts | {"angle": round(angle, 1)}
