"""Changes that images undergo by nature: geometry times photometry, the operations of RandAugment and ImageNet-C.

Cubuk et al., "RandAugment", NeurIPS 2020; Hendrycks and Dietterich, ICLR 2019. A semantic backdoor (Bagdasaryan et
al., AISTATS 2020) answers to such a change on images of its source classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gate.spaces.contract import Probe, ProbeFamily

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    import torch

    from gate.spaces.contract import Apply, Shape

    Change = Callable[[torch.Tensor], torch.Tensor]

CASTS = {
    "reddish": (1.0, 0.5, 0.4),
    "greenish": (0.5, 1.0, 0.5),
    "bluish": (0.4, 0.5, 1.0),
    "yellowish": (1.0, 1.0, 0.4),
    "purplish": (1.0, 0.4, 1.0),
    "turquoise": (0.4, 1.0, 1.0),
}
"""Gains of red, green and blue."""
SHRUNK, SHIFTED = 0.8, 0.15
"""Shares of a side."""
POWERS, GAINS = (0.5, 2.0), (0.4, 1.5)
"""Of drawn tones: the exponent of all channels, and the gain of each."""


def shrunk(x: torch.Tensor) -> torch.Tensor:
    """Return the images smaller, on black."""
    from torch.nn.functional import interpolate, pad

    height, width = x.shape[2:]
    small = interpolate(x, size=(round(height * SHRUNK), round(width * SHRUNK)), mode="bilinear", align_corners=False)
    down, right = height - small.shape[2], width - small.shape[3]
    return pad(small, (right // 2, right - right // 2, down // 2, down - down // 2))


def shifted(x: torch.Tensor) -> torch.Tensor:
    """Return the images further right and down, black where nothing was."""
    from torch.nn.functional import pad

    height, width = x.shape[2:]
    down, right = max(1, round(SHIFTED * height)), max(1, round(SHIFTED * width))
    return pad(x, (right, 0, down, 0))[:, :, :height, :width]


def blurred(x: torch.Tensor) -> torch.Tensor:
    """Return the mean of each pixel's 3 × 3 neighbours."""
    from torch.nn.functional import avg_pool2d, pad

    return avg_pool2d(pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)


def widened(x: torch.Tensor) -> torch.Tensor:
    """Return the greatest of each pixel's 3 × 3 neighbours: bright strokes are bold."""
    from torch.nn.functional import max_pool2d

    return max_pool2d(x, 3, 1, 1)


def solarised(x: torch.Tensor) -> torch.Tensor:
    """Return the images with their brighter half inverted."""
    return x.minimum(1 - x)


GEOMETRY: dict[str, Change] = {
    "as it is": lambda x: x,
    "mirrored": lambda x: x.flip(-1),
    "upside down": lambda x: x.flip(-2),
    "turned left": lambda x: x.rot90(1, (-2, -1)),
    "turned round": lambda x: x.flip((-2, -1)),
    "turned right": lambda x: x.rot90(3, (-2, -1)),
    "smaller": shrunk,
    "shifted": shifted,
}
PHOTOMETRY: dict[str, Change] = {
    "": lambda x: x,
    "darker": lambda x: 0.5 * x,
    "brighter": lambda x: (1.5 * x).clamp(0, 1),
    "darker in the middle tones": lambda x: x.square(),
    "brighter in the middle tones": lambda x: x.clamp(0, 1).sqrt(),
    "inverted": lambda x: 1 - x,
    "flat": lambda x: 0.5 * x + 0.25,
    "blurred": blurred,
    "sharp": lambda x: (2 * x - blurred(x)).clamp(0, 1),
    "bold": widened,
    "thin": lambda x: -widened(-x),
    "solarised": solarised,
    "in four tones": lambda x: (3 * x).round() / 3,
}


def _cast(gains: Sequence[float]) -> Change:
    def tinted(x: torch.Tensor) -> torch.Tensor:
        return x * x.new_tensor(gains).view(-1, 1, 1)

    return tinted


def fixed(shape: Shape) -> tuple[Probe, ...]:
    """Return each change of geometry with each of photometry; turns by a quarter for square images alone."""
    casts = {name: _cast(gains) for name, gains in CASTS.items()} if shape[0] == 3 else {}
    return tuple(
        Probe(", ".join(filter(None, (placed, toned))), _both(place, tone))
        for placed, place in _geometry(shape).items()
        for toned, tone in (PHOTOMETRY | casts).items()
        if toned or placed != "as it is"
    )


def drawn(shape: Shape, generator: random.Random) -> Apply:
    """Return a change of geometry with any exponent of the tones and any gain of each channel."""
    place = generator.choice(list(_geometry(shape).values()))
    power, tint = generator.uniform(*POWERS), _cast([generator.uniform(*GAINS) for _ in range(shape[0])])
    return _both(place, lambda x: tint(x.clamp(0, 1) ** power).clamp(0, 1))


def _geometry(shape: Shape) -> dict[str, Change]:
    quarter = () if shape[1] == shape[2] else ("turned left", "turned right")
    return {name: change for name, change in GEOMETRY.items() if name not in quarter}


def _both(place: Change, tone: Change) -> Change:
    return lambda x: tone(place(x))


FAMILY = ProbeFamily("natural", "natural changes", "natural", fixed, drawn)
