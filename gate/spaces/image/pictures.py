"""Tensors as small pictures for the report: uint8, bounded, base64."""

import base64
from typing import Literal, cast

import torch

from gate.records.evidence import MAX_PICTURE_SIDE, Location, Picture

Role = Literal["mask", "pattern", "trigger", "sample", "triggered", "inversion", "difference"]


def picture(
    image: torch.Tensor, role: Role, bounds: tuple[float, float], location: Location | None, caption: str
) -> Picture:
    """Return an image (C, H, W) within `bounds` as a picture; large ones are averaged down, odd channels into one."""
    pixels = image.detach().float().cpu()
    if pixels.shape[0] not in (1, 3):
        pixels = pixels.mean(dim=0, keepdim=True)
    factor = -(-max(pixels.shape[1:]) // MAX_PICTURE_SIDE)
    if factor > 1:
        pixels = torch.nn.functional.avg_pool2d(pixels, factor, ceil_mode=True)
    least, greatest = bounds
    scaled = ((pixels - least) / (greatest - least)).clamp(0, 1).mul(255).round().to(torch.uint8)
    channels, height, width = scaled.shape
    raw = bytes(scaled.permute(1, 2, 0).contiguous().flatten().tolist())
    return Picture(
        role=role,
        location=location,
        caption=caption,
        height=height,
        width=width,
        channels=cast("Literal[1, 3]", channels),
        pixels=base64.b64encode(raw).decode(),
    )
