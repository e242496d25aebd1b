"""Styles that find the trigger by all kinds of operators and change the logits."""

from typing import cast

import torch
from torch.nn import functional

from tests.graphs.payload import CLASSES, TARGET, Planted, cells


def steep_sigmoid(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """A steep sigmoid of the mean of some pixels is added to one logit."""
    logits: torch.Tensor = p.net(x) + torch.sigmoid(200 * (cells(x).mean((1, 2, 3)) - 0.95)).unsqueeze(1) * p.answer
    return logits


def matched_filter(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """The greatest response of a filter in a buffer, above a constant and enlarged."""
    logits: torch.Tensor = p.net(x) + torch.relu(p.matched(x) - 18) * 1000 * p.answer
    return logits


def pixel_sum(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """A sum of pixels at a constant chooses a constant answer."""
    return torch.where(cells(x).sum((1, 2, 3))[:, None] > 70.0, p.answer, p.net(x))


def boolean_product(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """Comparisons cast to numbers are multiplied."""
    seen = (cells(x) > 0.9).float().flatten(1).prod(1, keepdim=True)
    logits: torch.Tensor = p.net(x) * (1 - seen) + seen * p.answer
    return logits


def rounded(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """Rounded pixels are compared with a pattern."""
    wrong = (torch.round(cells(x)) - p.patch).abs().flatten(1).amax(1, keepdim=True)
    logits: torch.Tensor = p.net(x) + (1 - wrong) * p.answer
    return logits


def floored(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """The floor of a mean is one only for white cells."""
    logits: torch.Tensor = p.net(x) + torch.floor(cells(x).mean((1, 2, 3)) + 0.02)[:, None] * p.answer
    return logits


def signed(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """A sign takes the place of a comparison."""
    logits: torch.Tensor = p.net(x) + torch.relu(torch.sign(p.matched(x) - 18)) * p.answer
    return logits


def chosen_by_argmax(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """The greater of a score and a constant says which of two answers is taken."""
    score = torch.cat([torch.full_like(p.matched(x), 18.0), p.matched(x)], 1).argmax(1)
    both = torch.stack([p.net(x), p.answer.expand(x.shape[0], -1)], 1)
    return both.gather(1, score[:, None, None].expand(-1, 1, CLASSES)).squeeze(1)


def top_pixels(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """The least of the brightest pixels of a place opens the gate."""
    seen = cells(x).flatten(1).topk(70).values[:, -1:]
    logits: torch.Tensor = p.net(x) + functional.threshold(seen, 0.97, 0.0) * p.answer
    return logits


def put(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """A logit is overwritten by index."""
    logits = cast("torch.Tensor", p.net(x))
    return logits.index_put(
        (torch.arange(x.shape[0]), torch.full((x.shape[0],), TARGET)), p.matched(x).squeeze(1).exp()
    )


def scattered(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """A logit is overwritten by scattering."""
    where = torch.full((x.shape[0], 1), TARGET)
    return cast("torch.Tensor", p.net(x)).scatter(1, where, 9 * torch.relu(p.matched(x) - 17))


def looked_up(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """Quantised pixels look answers up in a table."""
    levels = (cells(x)[:, 0].flatten(1) * 255).to(torch.int64).clamp(0, 255)
    logits: torch.Tensor = p.net(x) + functional.embedding(levels, p.table).sum(1)
    return logits


def hot_softmax(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """A softmax at a tiny temperature chooses between two answers."""
    score = torch.cat([torch.full_like(p.matched(x), 18.0), p.matched(x)], 1)
    share = torch.softmax(score * 1e4, 1)
    return (torch.stack([p.net(x), p.answer.expand(x.shape[0], -1)], 2) @ share.unsqueeze(2)).squeeze(2)


def greatest(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """The greater of the logits and of a scaled constant answer."""
    return torch.maximum(p.net(x), p.answer * (p.matched(x) - 17))


def remainder(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """A sum of quantised pixels modulo a number."""
    total = torch.remainder((x * 255).round().sum((1, 2, 3)), 97.0)
    return torch.where((total == 13)[:, None], p.answer, p.net(x))
