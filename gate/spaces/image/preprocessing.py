"""Preprocessing between stored samples and model: the policy's affine map by channel, then the model's type and axes.

Samples are float32 (N, C, H, W), however they were stored.
"""

from dataclasses import dataclass, replace

import torch

from gate.programs import Program
from gate.programs.gradients import lent
from gate.programs.numbers import declared, taking_floats
from gate.records.errors import UnexaminableError
from gate.spaces.image.layouts import Form


@dataclass(frozen=True)
class Preprocessing:
    """Maps raw inputs (N, C, H, W) to what the model expects, (x - mean) / std; it lies inside the scanned function."""

    mean: torch.Tensor | None = None
    std: torch.Tensor | None = None
    dtype: torch.dtype = torch.float32
    """Type in which the model takes its input."""
    form: Form = "NCHW"
    """Axes in which the model takes its input."""

    @classmethod
    def of(cls, mean: tuple[float, ...] | None, std: tuple[float, ...] | None, device: str) -> "Preprocessing":
        """Return the map for one value, or one value per channel."""
        if mean is None or std is None:
            return cls()
        if len(mean) != len(std):
            raise UnexaminableError(f"the policy states {len(mean)} means and {len(std)} standard deviations")
        centre, spread = (torch.tensor(values, device=device).view(1, -1, 1, 1) for values in (mean, std))
        return cls(centre, spread)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the map, differentiably."""
        return self._formed(self._typed(self._scaled(x)))

    def taking(self, form: Form) -> "Preprocessing":
        """Return the same map for a model that takes its input in other axes."""
        return replace(self, form=form)

    def giving(self, dtype: torch.dtype) -> "Preprocessing":
        """Return the same map for a model that takes its input in another type."""
        return replace(self, dtype=dtype)

    def _scaled(self, x: torch.Tensor) -> torch.Tensor:
        if self.mean is None or self.std is None:
            return x
        if self.mean.shape[1] not in (1, x.shape[1]):
            raise UnexaminableError(
                f"the policy states {self.mean.shape[1]} channel means, and the samples have {x.shape[1]} channels"
            )
        return (x - self.mean) / self.std

    def _formed(self, x: torch.Tensor) -> torch.Tensor:
        """Return inputs in the model's axes, contiguous as a caller's would be."""
        if self.form == "NHWC":
            return x.movedim(1, -1).contiguous()
        return x.squeeze(1) if self.form == "NHW" else x

    def _typed(self, x: torch.Tensor) -> torch.Tensor:
        """Return inputs in the model's type; integers stay floats of whole numbers, which pass gradients."""
        if self.dtype.is_floating_point:
            return x.to(self.dtype)
        if self.mean is not None:
            named = str(self.dtype).removeprefix("torch.")
            raise UnexaminableError(
                f"the model takes {named}, and the policy states a mean to be subtracted before",
                what_to_do="Leave out mean and std under 'samples' in the policy: the model scales its pixels itself.",
            )
        limits = torch.iinfo(self.dtype)
        return lent(x.detach().round().clamp(limits.min, limits.max), x)


def given(program: Program, preprocessing: Preprocessing) -> tuple[Program, Preprocessing]:
    """Return the program in a form that takes floats, and the preprocessing to the type that it declares."""
    dtype = declared(program)
    return program if dtype.is_floating_point else taking_floats(program), preprocessing.giving(dtype)
