"""Builds the nets of this folder, each with the same weights whenever it is built, and exports them for the reader."""

import tempfile
import warnings
from pathlib import Path

import torch
from torch import nn

from gate.programs import Program, read_program
from tests.graphs.layers import Bottleneck, conv
from tests.graphs.payload import Split

SHAPE = (3, 32, 32)


def shallow() -> Split:
    """Return a trunk of two convolutions."""
    return Split(conv(3, 16, 2), nn.Sequential(conv(16, 48, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten()), 48)


def deep() -> Split:
    """Return a residual trunk of ten convolutions."""
    blocks = [Bottleneck(16, 16), Bottleneck(16, 32, 2), Bottleneck(32, 48)]
    return Split(conv(3, 16, 2), nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten()), 48)


TRUNKS = {"shallow": shallow, "deep": deep}


def seeded(build: object) -> nn.Module:
    """Return what a builder makes with random numbers of its own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made: nn.Module = build().eval().requires_grad_(requires_grad=False)  # type: ignore[operator]
    return made


def exported(net: nn.Module, shape: tuple[int, ...] = SHAPE, *, free: bool = True) -> Program:
    """Return a net as the strict reader reads it; with a fixed batch where it does not take a free one."""
    shapes = ({0: torch.export.Dim("batch")},) if free else None
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "net.pt2"
        torch.export.save(torch.export.export(net, (torch.rand(4, *shape),), dynamic_shapes=shapes), path)
        return read_program(path)
