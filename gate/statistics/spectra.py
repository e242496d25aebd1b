"""Spectra of a layer's pre-activations, and how far two of them lie apart.

After MIST, arXiv 2605.21146: an update is tested by the spectra of both versions' pre-activations on the same samples.
"""

import torch

FLOOR = 1e-4
"""Least share of the variance in one direction; below it a spectrum is rounding."""
MOST_PLACES = 256
"""Most positions of one sample that count: neighbouring ones are nearly the same."""


class Moments:
    """The covariance of a layer's channels, gathered over batches in double precision."""

    def __init__(self) -> None:
        self._count = 0
        self._sum: torch.Tensor | float = 0.0
        self._squares: torch.Tensor | float = 0.0

    def add(self, rows: torch.Tensor) -> None:
        """Take in rows (n, c), one a sample or position."""
        rows = rows.double()
        self._count += len(rows)
        self._sum = self._sum + rows.sum(dim=0)
        self._squares = self._squares + rows.T @ rows

    def spectrum(self) -> torch.Tensor:
        """Return the shares of the variance by direction (c,), largest first; all zero where nothing varies."""
        mean = torch.as_tensor(self._sum) / self._count
        covariance = torch.as_tensor(self._squares) / self._count - torch.outer(mean, mean)
        if not torch.isfinite(covariance).all():
            raise ValueError("pre-activations are NaN or infinite")
        shares = torch.linalg.eigvalsh(covariance).flip(0).clamp(min=0)
        # Rounding leaves a little variance in a layer that always yields the same.
        varies = float(shares.sum()) > 1e-12 * float(covariance.diagonal().sum() + mean.square().sum())
        return shares / shares.sum() if varies else torch.zeros_like(shares)


def channel_rows(values: torch.Tensor, axis: int, channels: torch.Tensor) -> torch.Tensor:
    """Return pre-activations (N, …) as rows (n, c) of the drawn channels, at most `MOST_PLACES` places a sample."""
    moved = values.index_select(axis, channels.to(values.device)).movedim(axis, -1)
    places = moved.reshape(len(moved), -1, len(channels))
    return places[:, :: max(1, -(-places.shape[1] // MOST_PLACES))].reshape(-1, len(channels))


def log_distance(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the Wasserstein-1 distance of two spectra's logarithms (c,), in nats."""
    logs = [spectrum.clamp(min=FLOOR).log().sort().values for spectrum in (one, other)]
    return float((logs[0] - logs[1]).abs().mean())
