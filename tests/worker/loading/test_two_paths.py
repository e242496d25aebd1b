"""Layers that compute by another path without gradients: with parts that only one path walks through, they are code."""

import pytest
import torch
from torch import nn

from gate.worker.loading.modules import load_library_module


def encoder(activation, **parts):
    """Return an encoder layer with some parts exchanged, in a network of library layers."""
    layer = nn.TransformerEncoderLayer(12, 2, 16, batch_first=True, activation=activation)
    for name, part in parts.items():
        setattr(layer, name, part)
    return nn.Sequential(nn.Unflatten(1, (4, 12)), layer, nn.Flatten(1), nn.Linear(48, 3)).eval()


def attention(projection=None):
    """Return a network of one attention layer, perhaps with another projection of its output."""
    layer = nn.MultiheadAttention(12, 2, batch_first=True)
    if projection is not None:
        layer.out_proj = projection
    return nn.Sequential(layer).eval()


PLAIN = {
    "encoder": lambda: encoder(nn.ReLU()),
    "encoder with another activation": lambda: encoder(nn.SiLU()),
    "attention": attention,
}
OTHER_PARTS = {
    "a dropout that cuts": lambda: encoder(nn.ReLU(), dropout=nn.Hardtanh(0.0, 1e-12)),
    "a linear layer of another kind": lambda: encoder(nn.ReLU(), linear1=nn.Sequential(nn.Linear(12, 16))),
    "a norm of another kind": lambda: encoder(nn.ReLU(), norm2=nn.RMSNorm(12)),
    "an activation that is not the fast path's": lambda: exchanged(nn.Hardtanh()),
    "a GELU that is approximated": lambda: encoder(nn.GELU(approximate="tanh")),
    "a projection of another kind": lambda: attention(nn.Linear(12, 12)),
}


def exchanged(activation):
    """Return an encoder whose number says ReLU and whose activation is another."""
    network = encoder(nn.ReLU())
    network[1].activation = activation
    return network


@pytest.mark.parametrize("name", PLAIN)
def test_layers_as_torch_makes_them_load(name, tmp_path):
    """Both paths are the same function."""
    torch.save(PLAIN[name](), tmp_path / "model.pth")
    assert load_library_module(tmp_path / "model.pth") is not None


@pytest.mark.parametrize("name", OTHER_PARTS)
def test_layers_with_other_parts_do_not(name, tmp_path):
    """The gate would measure one path, and a consumer be served the other."""
    torch.save(OTHER_PARTS[name](), tmp_path / "model.pth")
    assert load_library_module(tmp_path / "model.pth") is None
