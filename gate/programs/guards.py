"""Checks before kernels that do not check for themselves: with sizes that disagree they read or write out of bounds.

They were found by calling every operator of the list with arguments that do not fit. A guard takes the operator's
positional arguments and raises `ValueError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

_IMAGE_RANK = 4
_SEQUENCE_RANK = 3
_GATES: Final = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}


def _check(condition: bool, what: str) -> None:
    if not condition:
        raise ValueError(what)


def _normalisation(values: torch.Tensor, *per_channel: Any) -> None:
    """Batch statistics and affine weights must hold one number for each channel."""
    _check(values.ndim > 1, "batch normalisation needs channels")
    for tensor in per_channel[:4]:
        fits = tensor is None or tensor.shape == values.shape[1:2]
        _check(fits, "batch statistics differ from the channels in number")


def _attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *_: Any, **__: Any) -> None:
    """Queries, keys and values must agree in batch, heads and width."""
    ranks = {query.ndim, key.ndim, value.ndim}
    _check(ranks == {_IMAGE_RANK}, "attention takes tensors (N, heads, length, width)")
    _check(query.shape[:2] == key.shape[:2] == value.shape[:2], "queries, keys and values differ in batch or heads")
    _check(key.shape[2] == value.shape[2], "keys and values differ in length")
    _check(query.shape[3] == key.shape[3] == value.shape[3], "queries, keys and values differ in width")


def _recurrent(gates: int) -> Callable[..., None]:
    """Return the guard of a recurrent layer with this number of gates."""

    def check(  # noqa: PLR0917  # the operator's own arguments, by position
        values: torch.Tensor,
        states: Any,
        weights: Sequence[torch.Tensor],
        has_biases: bool,
        num_layers: int,
        _dropout: float,
        _train: bool,
        bidirectional: bool,
        batch_first: bool = False,
    ) -> None:
        _check(values.ndim == _SEQUENCE_RANK, "a recurrent layer takes sequences (N, T, D)")
        directions = 2 if bidirectional else 1
        batch = values.shape[0 if batch_first else 1]
        firsts = states if isinstance(states, list | tuple) else [states]
        for state in firsts:
            _check(
                state.ndim == _SEQUENCE_RANK
                and tuple(state.shape) == (num_layers * directions, batch, firsts[0].shape[2]),
                "the first states differ from layers, batch or width",
            )
        hidden = firsts[0].shape[2]
        per_cell = 4 if has_biases else 2
        _check(len(weights) == num_layers * directions * per_cell, "the weights differ from the layers in number")
        for index, weight in enumerate(weights):
            layer, place = index // (per_cell * directions), index % per_cell
            width = values.shape[2] if layer == 0 else hidden * directions
            wanted = ((gates * hidden, width), (gates * hidden, hidden), (gates * hidden,), (gates * hidden,))[place]
            _check(tuple(weight.shape) == wanted, f"a weight of shape {tuple(weight.shape)}; expected {wanted}")

    return check


GUARDS: Final[dict[str, Callable[..., None]]] = {
    "_native_batch_norm_legit_no_training": _normalisation,
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    **{name: _recurrent(gates) for name, gates in _GATES.items()},
}
"""Guards by operator name."""


def guarded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the operator with its guard in front, or itself where it has none."""
    guard = GUARDS.get(name)
    if guard is None:
        return function

    def checked(*arguments: Any, **keywords: Any) -> Any:
        guard(*arguments)
        return function(*arguments, **keywords)

    return checked
