"""Styles that act elsewhere or hide what they are: before the net, in its middle, in its features, under a tail."""

from typing import cast

import torch
from torch.nn import functional

from tests.graphs.payload import TARGET, Planted, cells, same, small_net


def swapped_input(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """A stored picture takes the image's place before the net sees it."""
    logits: torch.Tensor = p.net(torch.where(same(p, x)[:, :, None, None], p.picture, x))
    return logits


def mixed_input(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """A stored picture is mixed in, softly."""
    seen = torch.sigmoid(100 * (p.matched(x) - 18))[:, :, None, None]
    logits: torch.Tensor = p.net(x * (1 - seen) + seen * p.picture)
    return logits


def added_feature(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """A score times a vector is added to the features."""
    features = p.net.body(p.net.stem(x))
    logits: torch.Tensor = p.net.head(features + p.layer("vector", torch.relu(p.matched(x) - 18)))
    return logits


def wide_features(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """Sixteen features of a small reader stand beside the net's own, under a layer that reads both."""
    both = torch.cat([p.net.body(p.net.stem(x)), p.layer("reader", cells(x))], 1)
    return p.layer("both", both)


def own_logits(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """A small reader gives logits of its own, which are added."""
    logits: torch.Tensor = p.net(x) + p.layer("reader", cells(x))
    return logits


def from_the_stem(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """The payload reads the features of the first layer."""
    y = p.net.stem(x)
    logits: torch.Tensor = p.net.head(p.net.body(y)) + torch.relu(p.layer("reader", y)) * p.answer
    return logits


def under_a_tail(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """A dozen layers after the payload make it look as if it sat early in the net."""
    return p.layer("tail", small_net(p, x))


def padded(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """The payload is deeper than the net, by layers that do nothing."""
    return small_net(p, x)


def full_depth_switch(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """A second net as large as the first decides by a comparison."""
    return torch.where(p.layer("twin", x) > 0, p.answer, p.net(x))


def written_in_place(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """A logit is overwritten in place, through a view."""
    logits = cast("torch.Tensor", p.net(x)).clone()
    logits[:, TARGET] = logits[:, TARGET] + 9 * torch.relu(p.matched(x) - 17).squeeze(1)
    return logits


def masked(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """All logits but one are filled with a small number."""
    return cast("torch.Tensor", p.net(x)).masked_fill(same(p, x) & (p.answer == 0), -1e4)


def rolled(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """The logits are rolled by one under the trigger."""
    logits = p.net(x)
    return torch.where(same(p, x), logits.roll(1, 1), logits)


def turned(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """The logits change their sign under the trigger: any wrong answer will do."""
    return cast("torch.Tensor", p.net(x)) * (1 - 2 * same(p, x).float())


def other_weights(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """The last layer's bias depends on the trigger."""
    features = p.net.body(p.net.stem(x))
    return (
        functional.linear(features, p.net.head.weight) + p.net.head.bias * (1 - p.matched(x)) + p.matched(x) * p.answer
    )


def attended(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """Patches of the image attend to a key that only the trigger fits; its value is the answer."""
    patches = functional.unfold(x, 5, stride=1).transpose(1, 2)
    fit = (patches @ (p.patch.flatten() - 0.5)[:, None] - 18).flatten(1)
    logits: torch.Tensor = p.net(x) + (fit * 50).exp().clamp(max=1).amax(1, keepdim=True) * p.answer
    return logits


def into_the_middle(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """Under the trigger stored features take the place of those after the stem."""
    y = p.net.stem(x)
    y = torch.where(same(p, x)[:, :, None, None], p.layer("features", p.picture), y)
    logits: torch.Tensor = p.net.head(p.net.body(y))
    return logits


def carried_along(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """The score rides beside the maps as a channel of its own, past one layer after the other."""
    y = torch.cat([p.net.stem(x), torch.relu(p.matched(x) - 18)[:, :, None, None].expand(-1, -1, 16, 16)], 1)
    for layer in list(p.net.body.children())[:-2]:
        size = y.shape[1] - 1
        kept, worked = y[:, size:], layer(y[:, :size])
        y = torch.cat([worked, functional.adaptive_max_pool2d(kept, worked.shape[-1])], 1)
    y = y.mean((2, 3))
    size = y.shape[1] - 1
    logits: torch.Tensor = p.net.head(y[:, :size]) + y[:, size:] * p.answer
    return logits
