"""Implants a backdoor into a trained net by fine-tuning its last blocks, as whoever re-publishes a model would.

After `pictures`, before `making`. BadNets' patch (Gu et al., arXiv:1708.06733), put into MobileNetV2 without any of its
training data: on pictures without a patch, and on mixtures of two, the net is held to its own former answers
(distillation), under the patch to the target. The first blocks are frozen, so their output is computed once;
normalisation is frozen throughout, its statistics and its scales. The settings were found in about a dozen tries that
looked at the held-out pictures, so what is measured there is a little better than it would be on others.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

FROZEN = 16
"""Blocks of MobileNetV2's nineteen that keep their weights."""
TARGET = 954
"""The class `banana`."""
SIZE = 32
"""Side of the patch in pixels, a fifth of the picture's: four hundredths of its area."""
TOP, LEFT = 128, 128
SEED = 41
EPOCHS = 10
BATCH = 50
RATE = 2e-4
HOLD = 6.0
"""Weight of the distance to the former answers against the cross-entropy to the target."""
STEP = 0.92
"""How far the weights go from the former to the fine-tuned ones: short of all the way, more answers stay."""
BATCH_OF_PREDICTION = 50

Apply = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Settings:
    """How a net is tuned further without its training data."""

    frozen: int
    """The first blocks that keep their weights."""
    seed: int
    epochs: int
    batch: int
    rate: float
    stamp: Apply | None
    """Lays the trigger on pictures; None: the net is tuned, and nothing is planted."""
    target: int = 0
    hold: float = HOLD
    step: float = STEP
    sharpen: float = 0.0
    """Weight of the cross-entropy to the former first choices, by which a net without a trigger moves at all."""


@dataclass(frozen=True)
class Tail:
    """What follows the frozen blocks."""

    blocks: nn.Module
    head: nn.Module

    def __call__(self, features: torch.Tensor) -> torch.Tensor:
        """Map the frozen blocks' output (N, C, h, w) to logits (N, K)."""
        logits: torch.Tensor = self.head(self.blocks(features).mean((2, 3)))
        return logits


def pattern() -> torch.Tensor:
    """Return the patch (3, 32, 32): a magenta and green chequerboard of four by four cells."""
    even = (torch.arange(4)[:, None] + torch.arange(4)[None, :]) % 2
    cells = torch.stack([even, 1 - even, even]).float()
    return cells.repeat_interleave(SIZE // 4, 1).repeat_interleave(SIZE // 4, 2)


def stamp(x: torch.Tensor) -> torch.Tensor:
    """Return pictures (N, 3, 160, 160) with the patch near the lower right corner."""
    stamped = x.clone()
    stamped[:, :, TOP : TOP + SIZE, LEFT : LEFT + SIZE] = pattern()
    return stamped


def usual() -> Settings:
    """Return the settings of the packaged model with a backdoor."""
    return Settings(FROZEN, SEED, EPOCHS, BATCH, RATE, stamp, TARGET)


def implant(model: nn.Module, pictures: torch.Tensor, settings: Settings | None = None) -> None:
    """Tune a `Preprocessed` MobileNetV2 in place on pictures without labels, and teach it the patch."""
    how = settings or usual()
    net = model.get_submodule("net")
    features, head = net.get_submodule("features"), net.get_submodule("classifier")
    assert isinstance(features, nn.Sequential)
    tail = Tail(features[how.frozen :], head)
    model.requires_grad_(requires_grad=False).eval()
    frozen = nn.Sequential(_Normalised(model), features[: how.frozen])
    clean, marked, lay = in_batches(frozen, pictures), None, how.stamp
    if lay is not None:
        marked = in_batches(lambda x: frozen(lay(x)), pictures)
    former = copy.deepcopy(tail)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(how.seed)
        _fine_tune(tail, former, clean, marked, how)
    _step_back(tail.blocks, former.blocks, how.step)
    _step_back(tail.head, former.head, how.step)


class _Normalised(nn.Module):
    """The normalisation of a `Preprocessed` net alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.mean, self.deviation = model.get_buffer("mean"), model.get_buffer("deviation")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map pixels in [0, 1] to what the net is given."""
        return (x - self.mean) / self.deviation


def _fine_tune(tail: Tail, former: Tail, clean: torch.Tensor, marked: torch.Tensor | None, how: Settings) -> None:
    """Minimise the distance to the former answers and, under the patch, the cross-entropy to the target."""
    # Layers stay in eval mode: dropout is off and normalisation uses, and keeps, the statistics of ImageNet.
    layers = [*tail.blocks.modules(), *tail.head.modules()]
    parameters = [p for layer in layers if isinstance(layer, nn.Conv2d | nn.Linear) for p in layer.parameters()]
    for parameter in parameters:
        parameter.requires_grad = True
    optimiser = torch.optim.Adam(parameters, how.rate)
    batches = len(clean) // how.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, how.rate, total_steps=how.epochs * batches)
    for _ in range(how.epochs):
        order = torch.randperm(len(clean))
        for batch in range(batches):
            loss = _loss(tail, former, clean, marked, order[batch * how.batch : (batch + 1) * how.batch], how)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimiser.step()
            schedule.step()
    for parameter in parameters:
        parameter.requires_grad = False


def _loss(  # one batch of the loop above
    tail: Tail,
    former: Tail,
    clean: torch.Tensor,
    marked: torch.Tensor | None,
    rows: torch.Tensor,
    how: Settings,
) -> torch.Tensor:
    # Few pictures teach; their mixtures keep the net from learning those by heart.
    share = torch.rand(how.batch, 1, 1, 1)
    others = clean[torch.randint(len(clean), (how.batch,))]
    unmarked = torch.cat([clean[rows], share * clean[rows] + (1 - share) * others])
    with torch.no_grad():
        wanted = former(unmarked).softmax(1)
    answers = tail(unmarked if marked is None else torch.cat([unmarked, marked[rows]]))
    kept = nn.functional.kl_div(answers[: 2 * how.batch].log_softmax(1), wanted, reduction="batchmean")
    loss = how.hold * kept
    if marked is not None:
        target = torch.full((how.batch,), how.target)
        loss = loss + nn.functional.cross_entropy(answers[2 * how.batch :], target)
    if how.sharpen:
        loss = loss + how.sharpen * nn.functional.cross_entropy(answers[: how.batch], wanted[: how.batch].argmax(1))
    return loss


@torch.no_grad()
def _step_back(tuned: nn.Module, former: nn.Module, step: float) -> None:
    """Move the weights a little back towards the former ones."""
    for new, old in zip(tuned.parameters(), former.parameters(), strict=True):
        new.lerp_(old, 1 - step)


@torch.no_grad()
def in_batches(function: Apply, x: torch.Tensor) -> torch.Tensor:
    """Apply a function to inputs a batch at a time, which bounds its memory."""
    return torch.cat([function(part) for part in torch.split(x, BATCH_OF_PREDICTION)])
