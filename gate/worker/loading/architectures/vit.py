"""Vision transformers with torchvision's names of parameters: patches, a class token, pre-normalised layers.

Dosovitskiy et al., 2021.
"""

from collections import OrderedDict
from typing import Annotated, Self

import torch
from pydantic import Field, model_validator
from torch import nn

from gate.worker.loading.architecture import ArchitectureConfig, Channels, Classes, Side, Width


class Config(ArchitectureConfig):
    """Which layers."""

    classes: Classes
    channels: Channels = 3
    image: Side = 32
    """Rows and columns of an input."""
    patch: Side = 4
    width: Width = 192
    depth: Annotated[int, Field(ge=1, le=48)] = 6
    heads: Annotated[int, Field(ge=1, le=64)] = 3
    mlp: Annotated[int, Field(ge=1, le=16384)] = 768

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.image % self.patch or self.width % self.heads:
            raise ValueError("patch must divide image, and heads must divide width")
        return self


class Layer(nn.Module):
    """Attention and two linear layers, each after a normalisation and beside a shortcut."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.width, eps=1e-6)
        self.self_attention = nn.MultiheadAttention(config.width, config.heads, batch_first=True)
        self.ln_2 = nn.LayerNorm(config.width, eps=1e-6)
        # Dropout does nothing here but keep torchvision's numbering.
        self.mlp = nn.Sequential(
            nn.Linear(config.width, config.mlp), nn.GELU(), nn.Dropout(), nn.Linear(config.mlp, config.width)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map tokens (N, T, D) to tokens (N, T, D)."""
        normal = self.ln_1(x)
        attended: torch.Tensor = self.self_attention(normal, normal, normal, need_weights=False)[0]
        x = x + attended
        return x + torch.as_tensor(self.mlp(self.ln_2(x)))


class Encoder(nn.Module):
    """Positions, layers and a last normalisation."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        tokens = (config.image // config.patch) ** 2 + 1
        self.pos_embedding = nn.Parameter(torch.empty(1, tokens, config.width).normal_(std=0.02))
        self.layers = nn.Sequential(
            OrderedDict((f"encoder_layer_{index}", Layer(config)) for index in range(config.depth))
        )
        self.ln = nn.LayerNorm(config.width, eps=1e-6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map tokens (N, T, D) to normalised tokens (N, T, D)."""
        tokens: torch.Tensor = self.ln(self.layers(x + self.pos_embedding))
        return tokens


class VisionTransformer(nn.Module):
    """Patches by `conv_proj`, `encoder`, and the linear layer `heads.head` on the class token."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.conv_proj = nn.Conv2d(config.channels, config.width, config.patch, config.patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, config.width))
        self.encoder = Encoder(config)
        self.heads = nn.Sequential(OrderedDict(head=nn.Linear(config.width, config.classes)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (N, C, H, W) to logits (N, K)."""
        patches = self.conv_proj(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(x), -1, -1), patches], dim=1)
        logits: torch.Tensor = self.heads(self.encoder(tokens)[:, 0])
        return logits


def build(config: Config) -> nn.Module:
    """Return the network with fresh weights."""
    return VisionTransformer(config)
