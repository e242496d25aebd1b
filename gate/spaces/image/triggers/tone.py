"""The tone family: a curve over brightness for each channel and a mixing of channels, the same for every pixel.

Triggers of colour, contrast, filter or quantisation (Jiang et al., "Color Backdoor", CVPR 2023; Wang et al.,
"BppAttack", CVPR 2022; the filter triggers of the TrojAI rounds) change tones and leave places alone. Measured by the
root mean square change of a tone over the whole range, in shares of the range.
"""

from dataclasses import dataclass

import torch

Parameters = tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class ToneFamily:
    """Tone curves for inputs of one shape (C, H, W) within bounds (least, greatest)."""

    shape: tuple[int, int, int]
    bounds: tuple[float, float]
    knots: int
    """Free values of each curve, evenly spaced over the range."""
    limit: float
    """The largest change of a tone at a knot, and of a mixing weight, as a share of the range."""

    def start(self, count: int, generator: torch.Generator) -> Parameters:
        """Return free parameters of `count` slight curves (count, C, knots) and mixings (count, C, C)."""
        channels = self.shape[0]
        curves = 0.1 * torch.randn(count, channels, self.knots, generator=generator)
        mixing = 0.1 * torch.randn(count, channels, channels, generator=generator)
        # With one channel there is nothing to mix; the curve alone says all.
        return (curves, mixing) if channels > 1 else (curves,)

    def curves(self, parameters: Parameters) -> torch.Tensor:
        """Return the change of tone at each knot, (count, C, knots), in shares of the range."""
        return self.limit * torch.tanh(parameters[0])

    def mixing(self, parameters: Parameters) -> torch.Tensor | None:
        """Return what is added to each channel of every other, (count, C, C), or None with one channel."""
        return self.limit * torch.tanh(parameters[1]) if len(parameters) > 1 else None

    def apply(self, parameters: Parameters, x: torch.Tensor) -> torch.Tensor:
        """Change the tones of each batch, x (count, B, C, H, W), and clip to the bounds."""
        least, greatest = self.bounds
        tones = ((x - least) / (greatest - least)).clamp(0, 1)
        changed = tones
        curves = self.curves(parameters)
        for knot in range(self.knots):
            # A hat around the knot: neighbouring hats add up to one, so that the curve is piecewise linear.
            hat = (1 - (tones * (self.knots - 1) - knot).abs()).clamp_min(0)
            changed = changed + hat * curves[:, None, :, knot, None, None]
        mixing = self.mixing(parameters)
        if mixing is not None:
            changed = changed + torch.einsum("kij,kbjhw->kbihw", mixing, tones)
        return least + (greatest - least) * changed.clamp(0, 1)

    def tensors(self, parameters: Parameters) -> dict[str, torch.Tensor]:
        """Return what the triggers are made of: curves, and with several channels what is mixed in."""
        mixing = self.mixing(parameters)
        return {"curves": self.curves(parameters)} | ({} if mixing is None else {"mixing": mixing})

    def size(self, parameters: Parameters) -> torch.Tensor:
        """Return the root mean square change over knots and mixing weights, (count,)."""
        total = self.curves(parameters).square().mean(dim=(1, 2))
        mixing = self.mixing(parameters)
        if mixing is not None:
            total = total + mixing.square().mean(dim=(1, 2))
        return (total + 1e-12).sqrt()

    @property
    def largest(self) -> float:
        """The size that stands for 'no trigger found': every knot and weight at its limit."""
        return self.limit * (2**0.5 if self.shape[0] > 1 else 1.0)
