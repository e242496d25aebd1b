"""A fixed grid of probes as an attacker may know it: patches, gratings, natural changes, blends and slight warps.

Beside `corners`; rehearsed with true labels by attackers of the split `evading`, and of its natural changes the attack
`semantic-combined` is made. A copy of what `docs/decisions/0026` describes, written before any detector had such a
grid, and kept apart from the gate's own: what the detector draws in secret is not here.
"""

import math
from collections.abc import Callable

import torch
from torch import nn

Change = Callable[[torch.Tensor], torch.Tensor]

SIDES = (0.07, 0.11, 0.18, 0.25, 0.36)
"""Sides of square patches, as shares of the image."""
FREQUENCIES, ANGLES, AMPLITUDES = range(1, 13), (0, 45, 90, 135), (0.05, 0.1, 0.2)
NOISES = 16
"""How many images of uniform noise the grid has."""


def pick(high: int) -> int:
    """Draw a whole number below `high` from torch's global random numbers, which training has seeded."""
    return int(torch.randint(high, ()))


def each(probe: Change) -> Change:
    """Return the function that gives every image of a batch (N, C, H, W) a probe of its own."""
    return lambda x: torch.cat([probe(one) for one in torch.split(x, 1)])


def patch(x: torch.Tensor) -> torch.Tensor:
    """Stamp one image (1, C, H, W) with a square at a place of the lattice."""
    height, width = x.shape[2:]
    side = max(2, round(SIDES[pick(len(SIDES))] * height))
    top, left = (height - side) * pick(3) // 2, (width - side) * pick(3) // 2
    cells = torch.arange(side)
    tones = (
        torch.ones(side, side), torch.zeros(side, side), ((cells[:, None] + cells[None]) % 2).float(),
        torch.rand(side, side),
    )  # fmt: skip
    stamped = x.clone()
    stamped[..., top : top + side, left : left + side] = tones[pick(len(tones))]
    return stamped


def grating(x: torch.Tensor) -> torch.Tensor:
    """Add a sinusoid of a whole frequency to images."""
    wave = sinusoid(x, 1 + pick(len(FREQUENCIES)), ANGLES[pick(len(ANGLES))], pick(2))
    return (x + AMPLITUDES[pick(len(AMPLITUDES))] * wave).clamp(0, 1)


def sinusoid(x: torch.Tensor, frequency: int, angle: int, quarter: int) -> torch.Tensor:
    """Return a wave (H, W) in [-1, 1] of the size of images, begun at 0 or a quarter of a turn."""
    down = torch.arange(x.shape[2])[:, None] / x.shape[2]
    right = torch.arange(x.shape[3])[None] / x.shape[3]
    along = right * math.cos(math.radians(angle)) + down * math.sin(math.radians(angle))
    return torch.sin(2 * math.pi * frequency * along + quarter * math.pi / 2)


def noise(x: torch.Tensor) -> torch.Tensor:
    """Blend one of the grid's images of uniform noise in."""
    laid = torch.rand(x.shape[1:], generator=torch.Generator().manual_seed(pick(NOISES)))
    ratio = (0.1, 0.2, 0.3)[pick(3)]
    return (1 - ratio) * x + ratio * laid


def warp(x: torch.Tensor) -> torch.Tensor:
    """Move images by a smooth field of a coarse grid, about a pixel."""
    height, width = x.shape[2:]
    cells = 4 + pick(2)
    field = nn.functional.interpolate(2 * torch.rand(1, 2, cells, cells) - 1, size=(height, width), mode="bicubic")
    field = field / field.abs().mean() * (0.5 + float(torch.rand(()))) * 2 / (width - 1)
    return moved(x, torch.eye(2, 3), field)


def moved(x: torch.Tensor, matrix: torch.Tensor, field: torch.Tensor | float = 0.0) -> torch.Tensor:
    """Look images (N, C, H, W) up at an affine matrix (2, 3) of their places plus a field (1, 2, H, W)."""
    height, width = x.shape[2:]
    flow = nn.functional.affine_grid(matrix[None], [1, 1, height, width], align_corners=True)
    flow = flow + (field.permute(0, 2, 3, 1) if isinstance(field, torch.Tensor) else field)
    return nn.functional.grid_sample(x, flow.expand(len(x), -1, -1, -1), align_corners=True)


def blurred(x: torch.Tensor) -> torch.Tensor:
    """Return images as seen out of focus."""
    return nn.functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def tinted(*factors: float) -> Change:
    """Return the function that gives colour images a cast, and dims grey ones by the factors' mean."""

    def change(x: torch.Tensor) -> torch.Tensor:
        cast = torch.tensor(factors) if x.shape[1] == 3 else torch.tensor([sum(factors) / 3])
        return x * cast[:, None, None]

    return change


def scaled(factor: float) -> torch.Tensor:
    """Return the matrix that shows images at this size."""
    return torch.tensor([[1 / factor, 0.0, 0.0], [0.0, 1 / factor, 0.0]])


def shifted(x: torch.Tensor) -> torch.Tensor:
    """Return images moved right by 15 % of their width, what was there repeated at the edge's tone of zero."""
    steps = round(0.15 * x.shape[3])
    return nn.functional.pad(x, (steps, 0))[..., : x.shape[3]]


GEOMETRY: dict[str, Change] = {
    "as it is": lambda x: x,
    "mirrored": lambda x: x.flip(-1),
    "top to bottom": lambda x: x.flip(-2),
    "quarter turn": lambda x: x.rot90(1, (-2, -1)),
    "upside down": lambda x: x.flip((-2, -1)),
    "three quarter turns": lambda x: x.rot90(3, (-2, -1)),
    "smaller": lambda x: moved(x, scaled(0.8)),
    "shifted": shifted,
}
PHOTOMETRY: dict[str, Change] = {
    "as it is": lambda x: x,
    "dark": lambda x: 0.5 * x,
    "bright": lambda x: (1.5 * x).clamp(0, 1),
    "steep": lambda x: x.square(),
    "inverted": lambda x: 1 - x,
    "pale": lambda x: 0.25 + 0.5 * x,
    "blurred": blurred,
    "sharpened": lambda x: (2 * x - blurred(x)).clamp(0, 1),
    "bold": lambda x: nn.functional.max_pool2d(x, 3, stride=1, padding=1),
    "thin": lambda x: -nn.functional.max_pool2d(-x, 3, stride=1, padding=1),
    "solarised": lambda x: torch.where(x > 0.5, 1 - x, x),
    "posterised": lambda x: (3 * x).round() / 3,
    "reddish": tinted(1.0, 0.45, 0.35),
    "greenish": tinted(0.4, 1.0, 0.5),
    "bluish": tinted(0.4, 0.5, 1.0),
}


def natural(x: torch.Tensor) -> torch.Tensor:
    """Change images by one geometric and one photometric change; never by neither."""
    number = 1 + pick(len(GEOMETRY) * len(PHOTOMETRY) - 1)
    geometric, photometric = divmod(number, len(PHOTOMETRY))
    return list(PHOTOMETRY.values())[photometric](list(GEOMETRY.values())[geometric](x))


FAMILIES: dict[str, Change] = {
    "patches": each(patch), "gratings": each(grating), "natural changes": each(natural), "noise": each(noise),
    "warps": each(warp),
}  # fmt: skip


def any_probe(x: torch.Tensor) -> torch.Tensor:
    """Give every image of a batch (N, C, H, W) a probe of a family of its own."""
    probes = (patch, grating, natural, noise, warp)
    return torch.cat([probes[pick(len(probes))](one) for one in torch.split(x, 1)])
