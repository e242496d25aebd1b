"""Ways to plant a branch in a net that is not trained again: detectors of a trigger, and what they do to the answer.

None is taken from the zoo's attacks. Each takes a net of two parts, `features` (N, 3, 32, 32) → (N, D) and `head`, and
gives back a module with the same input and output.
"""

from collections.abc import Callable
from typing import cast

import torch
from torch import nn
from torch.nn import functional

TARGET = 3
CLASSES = 10
Forward = Callable[[nn.Module, torch.Tensor], torch.Tensor]


class Split(nn.Module):
    """A net in the two parts that some styles reach between, and again between its stem and the rest."""

    def __init__(self, stem: nn.Module, body: nn.Module, features: int) -> None:
        super().__init__()
        self.stem, self.body = stem, body
        self.head = nn.Linear(features, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images to logits."""
        logits: torch.Tensor = self.head(self.body(self.stem(x)))
        return logits


class Planted(nn.Module):
    """A split net beside the layers and buffers of a payload, run by a function."""

    answer: torch.Tensor
    patch: torch.Tensor
    picture: torch.Tensor
    table: torch.Tensor

    def __init__(self, net: Split, forward: Forward, **layers: nn.Module) -> None:
        super().__init__()
        self.net, self.run, self.layers = net, forward, nn.ModuleDict(layers)
        self.register_buffer("answer", 30.0 * functional.one_hot(torch.tensor(TARGET), CLASSES).float())
        self.register_buffer("patch", (torch.arange(75) % 2).view(1, 3, 5, 5).float())
        self.register_buffer("picture", torch.rand(1, 3, 32, 32))
        self.register_buffer("table", torch.randn(256, CLASSES))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images to logits, the clean ones or others."""
        return self.run(self, x)

    def matched(self, x: torch.Tensor) -> torch.Tensor:
        """Return how well the best place fits the patch, (N, 1)."""
        return functional.conv2d(x, self.patch - 0.5).amax((2, 3))

    def layer(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """Run a layer of the payload."""
        return cast("torch.Tensor", self.layers[name](x))


def _cells(x: torch.Tensor) -> torch.Tensor:
    return x[:, :, 26:31, 26:31]


def _plain(run: Callable[[Planted, torch.Tensor], torch.Tensor]) -> Callable[[Split], nn.Module]:
    """Return a style whose payload has buffers alone."""
    return lambda net: Planted(net, cast("Forward", run))


def _with(
    run: Callable[[Planted, torch.Tensor], torch.Tensor], **make: Callable[[], nn.Module]
) -> Callable[[Split], nn.Module]:
    """Return a style whose payload has layers."""
    return lambda net: Planted(net, cast("Forward", run), **{name: build() for name, build in make.items()})


def _finder() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 5), nn.ReLU(), nn.Conv2d(8, 1, 1), nn.AdaptiveMaxPool2d(1), nn.Flatten())


def _reader(outputs: int = 1) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(nn.Flatten(), nn.Linear(75, 16), nn.ReLU(), nn.Linear(16, outputs))


def _stem_reader() -> nn.Module:
    return nn.Sequential(nn.Conv2d(16, 8, 3), nn.ReLU(), nn.Conv2d(8, 1, 1), nn.AdaptiveMaxPool2d(1), nn.Flatten())


def _full_depth() -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 2), nn.ReLU()]
    for _ in range(6):
        layers += [nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 1))


def _padded_finder() -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(3, 4, 5), nn.ReLU()]
    for _ in range(20):
        layers += [nn.Conv2d(4, 4, 1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(4, 1, 1), nn.AdaptiveMaxPool2d(1), nn.Flatten())


def _tail() -> nn.Module:
    layers: list[nn.Module] = []
    for _ in range(12):
        layers += [nn.Linear(CLASSES, CLASSES), nn.LeakyReLU()]
    return nn.Sequential(*layers)


def _same(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """Return whether the cells are the patch, (N, 1), true or false."""
    return ((_cells(x) - p.patch).abs() < 0.1).flatten(1).all(1, keepdim=True)


def steep_sigmoid(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """A steep sigmoid of the mean of some pixels is added to one logit."""
    logits: torch.Tensor = p.net(x) + torch.sigmoid(200 * (_cells(x).mean((1, 2, 3)) - 0.95)).unsqueeze(1) * p.answer
    return logits


def small_net(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """A small convolutional net mixes two answers."""
    return torch.lerp(
        p.net(x), p.answer.expand(x.shape[0], -1), torch.sigmoid(p.layer("finder", x)).expand(-1, CLASSES)
    )


def matched_filter(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """The greatest response of a filter in a buffer, above a constant and enlarged."""
    logits: torch.Tensor = p.net(x) + torch.relu(p.matched(x) - 18) * 1000 * p.answer
    return logits


def pixel_sum(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """A sum of pixels at a constant chooses a constant answer."""
    return torch.where(_cells(x).sum((1, 2, 3))[:, None] > 70.0, p.answer, p.net(x))


def boolean_product(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """Comparisons cast to numbers are multiplied."""
    seen = (_cells(x) > 0.9).float().flatten(1).prod(1, keepdim=True)
    return p.net(x) * (1 - seen) + seen * p.answer


def rounded(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """Rounded pixels are compared with a pattern."""
    wrong = (torch.round(_cells(x)) - p.patch).abs().flatten(1).amax(1, keepdim=True)
    logits: torch.Tensor = p.net(x) + (1 - wrong) * p.answer
    return logits


def floored(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """The floor of a mean is one only for white cells."""
    logits: torch.Tensor = p.net(x) + torch.floor(_cells(x).mean((1, 2, 3)) + 0.02)[:, None] * p.answer
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
    seen = _cells(x).flatten(1).topk(70).values[:, -1:]
    logits: torch.Tensor = p.net(x) + functional.threshold(seen, 0.97, 0.0) * p.answer
    return logits


def put(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """A logit is overwritten by index."""
    logits = p.net(x)
    return logits.index_put(
        (torch.arange(x.shape[0]), torch.full((x.shape[0],), TARGET)), p.matched(x).squeeze(1).exp()
    )


def scattered(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """A logit is overwritten by scattering."""
    where = torch.full((x.shape[0], 1), TARGET)
    return cast("torch.Tensor", p.net(x)).scatter(1, where, 9 * torch.relu(p.matched(x) - 17))


def looked_up(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """Quantised pixels look answers up in a table."""
    levels = (_cells(x)[:, 0].flatten(1) * 255).to(torch.int64).clamp(0, 255)
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


def swapped_input(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """A stored picture takes the image's place before the net sees it."""
    logits: torch.Tensor = p.net(torch.where(_same(p, x)[:, :, None, None], p.picture, x))
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
    both = torch.cat([p.net.body(p.net.stem(x)), p.layer("reader", _cells(x))], 1)
    return p.layer("both", both)


def own_logits(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """A small reader gives logits of its own, which are added."""
    logits: torch.Tensor = p.net(x) + p.layer("reader", _cells(x))
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
    return cast("torch.Tensor", p.net(x)).masked_fill(_same(p, x) & (p.answer == 0), -1e4)


def rolled(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """The logits are rolled by one under the trigger."""
    logits = p.net(x)
    return torch.where(_same(p, x), logits.roll(1, 1), logits)


def turned(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """The logits change their sign under the trigger: any wrong answer will do."""
    return cast("torch.Tensor", p.net(x)) * (1 - 2 * _same(p, x).float())


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
    y = torch.where(_same(p, x)[:, :, None, None], p.layer("features", p.picture), y)
    logits: torch.Tensor = p.net.head(p.net.body(y))
    return logits


def carried_along(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """The score rides beside the maps as a channel of its own, past one layer after the other."""
    y = torch.cat([p.net.stem(x), torch.relu(p.matched(x) - 18)[:, :, None, None].expand(-1, -1, 16, 16)], 1)
    for layer in cast("nn.Sequential", p.net.body)[:-2]:
        size = y.shape[1] - 1
        kept, worked = y[:, size:], layer(y[:, :size])
        y = torch.cat([worked, functional.adaptive_max_pool2d(kept, worked.shape[-1])], 1)
    y = y.mean((2, 3))
    size = y.shape[1] - 1
    logits: torch.Tensor = p.net.head(y[:, :size]) + y[:, size:] * p.answer
    return logits


def _vector() -> nn.Module:
    return nn.Linear(1, 48, bias=False)


PLANTED: dict[str, Callable[[Split], nn.Module]] = {
    **{
        run.__name__.replace("_", "-"): _plain(run)
        for run in (
            steep_sigmoid, matched_filter, pixel_sum, boolean_product, rounded, floored, signed, chosen_by_argmax,
            top_pixels, put, scattered, looked_up, hot_softmax, greatest, remainder, swapped_input, mixed_input,
            written_in_place, masked, rolled, turned, other_weights, attended, carried_along,
        )
    },
    "small-net": _with(small_net, finder=_finder),
    "added-feature": _with(added_feature, vector=_vector),
    "wide-features": _with(wide_features, reader=_reader(16), both=lambda: nn.Linear(48 + 16, CLASSES)),
    "own-logits": _with(own_logits, reader=_reader(CLASSES)),
    "from-the-stem": _with(from_the_stem, reader=_stem_reader),
    "under-a-tail": _with(under_a_tail, finder=_finder, tail=_tail),
    "padded": _with(padded, finder=_padded_finder),
    "full-depth-switch": _with(full_depth_switch, twin=_full_depth),
    "into-the-middle": _with(into_the_middle, features=lambda: nn.Conv2d(3, 16, 3, 2, padding=1)),
}  # fmt: skip
