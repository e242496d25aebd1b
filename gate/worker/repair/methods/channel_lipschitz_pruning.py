"""Channel-Lipschitz pruning: switches off channels by which a convolution can raise its input far more than by others.

Of channel k the bound is σ(w_k) · |γ_k| / sqrt(var_k + e): the largest singular value of the filter as a matrix
(C_in, kh · kw), times the slope of the batch normalisation behind it. Channels above the layer's mean + u standard
deviations get a scale and shift of zero.

Needs     A convolution with batch normalisation behind it; neither data nor triggers.
Fits      Backdoors that sit in few channels of wide layers, such as patches and blends.
Blind to  Narrow layers: of n numbers none lies more than (n - 1) / sqrt(n) deviations above their mean, so with u = 3
          no layer below eleven channels ever loses one; networks without batch normalisation; backdoors in the last
          linear layer or in attention.
See       Zheng, Tang, Li and Liu, "Data-free Backdoor Removal based on Channel Lipschitzness", ECCV 2022, sections 4.2
          (the bound, equation 12) and 4.4 (the rule).
"""

from typing import TYPE_CHECKING

from pydantic import Field

from gate.records.declarations import Options
from gate.records.run import Run
from gate.worker.repair.contract import Material, Method, Need, Repaired

if TYPE_CHECKING:
    import torch

    from gate.programs import Program
    from gate.worker.repair.layers import Norm


class ChannelLipschitzPruning(Options):
    """How far a channel must stand out."""

    deviations: float = Field(default=3.0, gt=0, le=20)
    """The paper's u: standard deviations above the layer's mean from which a channel is switched off."""


def repair(material: Material, options: ChannelLipschitzPruning, run: Run) -> Repaired:
    """Switch off the channels that stand out, layer by layer."""
    import torch

    from gate.worker.repair.layers import norms, qualified, with_tensors

    program = material.program
    changed: dict[str, torch.Tensor] = {}
    pruned: dict[str, int] = {}
    for norm in norms(program):
        run.check_time()
        if norm.convolution is None:
            continue
        bounds = _bounds(program, norm)
        if len(bounds) < 2:
            continue
        above = bounds > bounds.mean() + options.deviations * bounds.std()
        if above.any():
            pruned[f"pruned {qualified(program, norm.scale)}"[:200]] = int(above.sum())
            for name in (norm.scale, norm.shift):
                changed[name] = torch.where(above, 0, program.tensors[name].detach())
    return Repaired(with_tensors(program, changed), {"channels pruned": sum(pruned.values()), **pruned})


def _bounds(program: "Program", norm: "Norm") -> "torch.Tensor":
    """Return the bound of each channel, (D,)."""
    import torch

    assert norm.convolution is not None
    weight = program.tensors[norm.convolution].detach()
    slope = program.tensors[norm.scale].detach() / (program.tensors[norm.variance] + norm.epsilon).sqrt()
    largest: torch.Tensor = torch.linalg.matrix_norm(weight.flatten(2).double(), ord=2)
    return largest * slope.double().abs()


METHOD = Method(
    id="channel-lipschitz-pruning",
    title="Channel-Lipschitz pruning",
    needs=Need.BATCH_NORM,
    cost=1,
    options=ChannelLipschitzPruning,
    repair=repair,
)
