"""Turns a trained network of texts into the bytes of an exported program of ids and mask, of any number and length.

Between measuring and the store. torch 2.13 derives the shape of an LSTM's output step by step while it exports, which
fixes the length of every text; its own rule for oneDNN's kernel takes any length, and is put in the place of that. The
graph holds the same operator, `lstm.input`, either way.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import torch
from torch._decomp import decompositions

from benchmarks.text_zoo.nets import TextNet
from benchmarks.text_zoo.tokenizing import LONGEST

_EXAMPLE = (3, 11)


def exported(net: TextNet) -> bytes:
    """Return a network of ids and mask (N, L) as `torch.export.save` writes it."""
    net.eval().requires_grad_(requires_grad=False)
    ids = torch.arange(5, 5 + _EXAMPLE[0] * _EXAMPLE[1]).reshape(_EXAMPLE)
    sizes = {0: torch.export.Dim("batch", max=65_536), 1: torch.export.Dim("length", max=LONGEST)}
    buffer = io.BytesIO()
    with _any_length(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the exporter's remark on an LSTM's flat weights
        program = torch.export.export(net, (ids, torch.ones_like(ids)), dynamic_shapes=(dict(sizes), dict(sizes)))
        torch.export.save(program, buffer)
    return buffer.getvalue()


@contextmanager
def _any_length() -> Iterator[None]:
    """Let an LSTM's shape be derived for any length."""
    whole = decompositions.mkldnn_one_layer_lstm
    with mock.patch.object(decompositions, "select_one_layer_lstm_function", return_value=whole):
        yield
