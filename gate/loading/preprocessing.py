"""What stands between the stored samples and the model: an affine map by channel, stated by the policy."""

from dataclasses import dataclass

import torch

from gate.errors import UnexaminableError


@dataclass(frozen=True)
class Preprocessing:
    """Maps raw inputs (N, C, H, W) to what the model expects, (x - mean) / std; it lies inside the scanned function."""

    mean: torch.Tensor | None = None
    std: torch.Tensor | None = None

    @classmethod
    def of(cls, mean: tuple[float, ...] | None, std: tuple[float, ...] | None, device: str) -> "Preprocessing":
        """Return the map for one value, or one value per channel."""
        if mean is None or std is None:
            return cls()
        if len(mean) != len(std):
            raise UnexaminableError(f"the policy states {len(mean)} means and {len(std)} standard deviations")
        return cls(*(torch.tensor(values, device=device).view(1, -1, 1, 1) for values in (mean, std)))

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the map, differentiably."""
        if self.mean is None or self.std is None:
            return x
        if self.mean.shape[1] not in (1, x.shape[1]):
            raise UnexaminableError(
                f"the policy states {self.mean.shape[1]} channel means, and the samples have {x.shape[1]} channels"
            )
        return (x - self.mean) / self.std
