"""Vision transformers with timm's names of parameters: patches, a class token, learned positions, pre-norm blocks.

Dosovitskiy et al., 2021. Width 384 with 12 blocks of 6 heads at patches of 16 is ViT-S/16; 768 with 12 heads ViT-B/16.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

from benchmarks.nets import config
from benchmarks.nets.config import Channels, Classes, Width

_Count = Annotated[int, Field(ge=1, le=64)]


class Config(config.Config):
    """Which layers; the defaults are ViT-S/16 for images of 224 × 224."""

    classes: Classes
    channels: Channels = 3
    side: Annotated[int, Field(ge=1, le=4096)] = 224
    patch: Annotated[int, Field(ge=1, le=256)] = 16
    width: Width = 384
    depth: _Count = 12
    heads: _Count = 6
    """A divisor of the width."""


class PatchEmbed(nn.Module):
    """A convolution that takes each patch to a token."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.proj = nn.Conv2d(config.channels, config.width, config.patch, config.patch)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to tokens (N, T, D)."""
        tokens: torch.Tensor = self.proj(x).flatten(2).transpose(1, 2)
        return tokens


class Attention(nn.Module):
    """Attention of several heads among the tokens of an image."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map tokens (N, T, D) to tokens (N, T, D)."""
        count, size, width = x.shape
        parts = self.qkv(x).reshape(count, size, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        out: torch.Tensor = self.proj(mixed.transpose(1, 2).reshape(count, size, width))
        return out


class Mlp(nn.Module):
    """Two layers of four times the width between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map tokens (N, T, D) to tokens (N, T, D)."""
        out: torch.Tensor = self.fc2(functional.gelu(self.fc1(x)))
        return out


class Block(nn.Module):
    """Attention and an MLP, each behind a normalisation and beside a shortcut."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map tokens (N, T, D) to tokens (N, T, D)."""
        x = x + self.attn(self.norm1(x))
        out: torch.Tensor = x + self.mlp(self.norm2(x))
        return out


class VisionTransformer(nn.Module):
    """Tokens of patches and one of the class, blocks, and one linear layer `head` over the class token."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, tokens = config.width, (config.side // config.patch) ** 2 + 1
        self.patch_embed = PatchEmbed(config)
        self.cls_token = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, 1, width), std=0.02))
        self.pos_embed = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, tokens, width), std=0.02))
        self.blocks = nn.Sequential(*(Block(width, config.heads) for _ in range(config.depth)))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, config.classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (N, C, H, W) to logits (N, K)."""
        tokens = self.patch_embed(x)
        first = self.cls_token.expand(x.shape[0], -1, -1)
        tokens = torch.cat([first, tokens], dim=1) + self.pos_embed
        logits: torch.Tensor = self.head(self.norm(self.blocks(tokens))[:, 0])
        return logits


def build(config: Config) -> nn.Module:
    """Return the network with fresh weights."""
    return VisionTransformer(config)
