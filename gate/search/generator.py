"""A generator of triggers: one small network that makes another mask and pattern for every image and every class.

Called by `sample-specific-trigger`. Nguyen and Tran (Input-Aware Dynamic Backdoor Attack, NeurIPS 2020) plant such
triggers; no fixed patch, change or warp is one of them. All classes share the network, told apart by a learned scale
and shift of its channels (Perez et al., "FiLM", AAAI 2018), so that the work does not grow with their number. Each
class has its own price of area, which rises while its images arrive and falls while they do not.
"""

import copy
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from gate.records.run import Run
from gate.spaces.subject import Classifier

STEEP = 2.0
"""Of the pattern's sigmoid: near black or white after few steps."""
SPREAD = 0.3
"""Standard deviation of the classes' first scales and shifts."""
DEAREST, CHEAPEST, CHANGE = 100.0, 0.01, 1.03
"""Bounds of a class's price, and how fast it moves in a step."""
MEMORY = 0.9
"""Of a class's running success and masked share."""
NOTHING_FOUND = 1.0
"""The size of a class whose images never arrived."""


@dataclass(frozen=True)
class Settings:
    """How a generator is trained."""

    steps: int
    batch: int
    learning_rate: float
    success_target: float
    """Running success of a class from which its masks are made smaller, and count as found."""
    area_weight: float
    """Weight of the masked share of an image beside the cross-entropy, before a class's own price."""


class TriggerGenerator(nn.Module):
    """Makes a mask (N, 1, H, W) in [0, 1] and a pattern (N, C, H, W) in the bounds, for images and class rows (N,)."""

    def __init__(self, channels: int, classes: int, bounds: tuple[float, float]) -> None:
        super().__init__()
        self.bounds = bounds
        self.into = nn.Conv2d(channels, 16, 3, stride=2, padding=1)
        self.deep = nn.Conv2d(16, 24, 3, stride=2, padding=1)
        self.back = nn.Conv2d(24, 16, 3, padding=1)
        self.out = nn.Conv2d(16, channels + 1, 3, padding=1)
        self.deep_class, self.back_class = nn.Embedding(classes, 48), nn.Embedding(classes, 32)
        for layer in (self.deep_class, self.back_class):
            nn.init.normal_(layer.weight, 0.0, SPREAD)

    def parts(self, x: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return masks and patterns for raw images (N, C, H, W)."""
        least, greatest = self.bounds
        hidden = functional.relu(self.into((x - least) / (greatest - least)))
        hidden = functional.relu(_modulated(self.deep(hidden), self.deep_class(rows)))
        hidden = self.back(functional.interpolate(hidden, scale_factor=2))
        hidden = functional.relu(_modulated(hidden, self.back_class(rows)))
        made = self.out(functional.interpolate(hidden, size=x.shape[2:]))
        pattern = least + (greatest - least) * torch.sigmoid(STEEP * made[:, :-1])
        return torch.sigmoid(made[:, -1:]), pattern

    def forward(self, x: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return images under their triggers and each one's masked share (N,)."""
        mask, pattern = self.parts(x, rows)
        return x + mask * (pattern - x), mask.mean(dim=(1, 2, 3))


@dataclass(frozen=True)
class Generated:
    """What a trained generator does, by row of the classes that it was trained for."""

    generator: TriggerGenerator
    """As it was when the smallest of all sizes was found."""
    sizes: torch.Tensor
    """Least running masked share over running success (R,), of the steps at which enough images arrived."""
    success: torch.Tensor
    """Running success of that step (R,); of a class that never got there, at the end."""


def train(
    classifier: Classifier, inputs: torch.Tensor, own: torch.Tensor, classes: torch.Tensor, settings: Settings, run: Run
) -> Generated:
    """Train a generator towards some classes and tell how small its masks became.

    Args:
        classifier: Left as it is; gradients go through it to the generator alone.
        inputs: Raw images (N, C, H, W).
        own: The class of each (N,), which is never its target.
        classes: The targets (R,), each once.
        settings: How long, how wide, how dear.
        run: Seed, progress and deadline.

    Raises:
        DeadlineReachedError: If the time is up.
    """
    chance = torch.Generator().manual_seed(run.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        generator = TriggerGenerator(inputs.shape[1], len(classes), classifier.bounds).to(inputs.device)
    optimiser = torch.optim.Adam(generator.parameters(), settings.learning_rate)
    count = len(classes)
    prices, arriving, masked = torch.ones(count), torch.zeros(count), torch.ones(count)
    sizes, success, best = torch.full((count,), NOTHING_FOUND), torch.zeros(count), generator
    for step in range(settings.steps):
        run.check_time()
        chosen, rows = _batch(own, classes, settings.batch, chance)
        price = settings.area_weight * prices.to(inputs)[rows]
        optimiser.zero_grad()
        answers = [
            _passed_back(
                classifier, generator, inputs[chosen[some]], classes[rows[some]], rows[some], price[some], len(rows)
            )
            for some in torch.split(torch.arange(len(rows), device=rows.device), run.max_batch)
        ]
        hits, area = (torch.cat(parts) for parts in zip(*answers, strict=True))
        nn.utils.clip_grad_norm_(generator.parameters(), 1.0)
        optimiser.step()
        arriving, masked = (_remembered(past, rows, now) for past, now in ((arriving, hits), (masked, area)))
        enough = arriving > settings.success_target
        prices = torch.where(enough, prices * CHANGE, prices / CHANGE).clamp(CHEAPEST, DEAREST)
        better = enough & (masked / arriving < sizes)
        sizes, success = torch.where(better, masked / arriving, sizes), torch.where(better, arriving, success)
        if bool(better[sizes.argmin()]):
            best = copy.deepcopy(generator)
        run.progress(step + 1, settings.steps)
    best.requires_grad_(requires_grad=False)
    return Generated(best, sizes, torch.where(sizes < NOTHING_FOUND, success, arriving))


def _passed_back(  # noqa: PLR0917  # one step's part, close to the loop above
    classifier: Classifier,
    generator: TriggerGenerator,
    x: torch.Tensor,
    targets: torch.Tensor,
    rows: torch.Tensor,
    price: torch.Tensor,
    whole: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Add the gradients of a part of a batch of `whole` images; return which arrived and their masked shares, (B,)."""
    triggered, area = generator(x, rows)
    logits = classifier.logits(triggered)
    loss = functional.cross_entropy(logits, targets) + (price * area).mean()
    torch.autograd.backward(loss * (len(x) / whole))
    return (logits.detach().argmax(dim=1) == targets).float(), area.detach()


def _batch(
    own: torch.Tensor, classes: torch.Tensor, count: int, chance: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw images and for each the row of a class that is not its own; both (B,), B at most the count."""
    chosen = torch.randint(len(own), (count,), generator=chance).to(own.device)
    rows = torch.randint(len(classes), (count,), generator=chance).to(own.device)
    moved = classes[rows] != own[chosen]
    return (chosen[moved], rows[moved]) if bool(moved.any()) else _batch(own, classes, count, chance)


def _remembered(past: torch.Tensor, rows: torch.Tensor, now: torch.Tensor) -> torch.Tensor:
    """Return the running mean (R,) after a step in which some rows were seen, with these values (B,)."""
    rows = rows.cpu()
    seen = torch.bincount(rows, minlength=len(past))
    mean = torch.zeros_like(past).index_add(0, rows, now.cpu()) / seen.clamp_min(1)
    return torch.where(seen > 0, MEMORY * past + (1 - MEMORY) * mean, past)


def _modulated(hidden: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Scale and shift the channels of (N, C, H, W) by values (N, 2C)."""
    scale, shift = values[..., None, None].chunk(2, dim=1)
    return hidden * (1 + scale) + shift
