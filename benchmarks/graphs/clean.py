"""Clean nets whose graphs are odd in ways that published classifiers are: gates, masks, skips, routes, several outputs.

All map images (N, 3, 32, 32) to logits (N, 10), or to a tuple with the logits first.
"""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

CLASSES = 10


def conv(inside: int, outside: int, stride: int = 1, size: int = 3, groups: int = 1) -> nn.Sequential:
    """Return convolution, batch normalisation and activation."""
    layer = nn.Conv2d(inside, outside, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outside), nn.ReLU())


def head(features: int) -> nn.Sequential:
    """Return average pooling and the last layer."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(features, CLASSES))


class Wrapped(nn.Module):
    """A forward pass over named layers, written as a function."""

    def __init__(self, forward: Callable[..., object], **layers: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(layers)
        self.run = forward

    def forward(self, x: torch.Tensor) -> object:
        """Map (N, 3, 32, 32) to whatever the function returns."""
        return self.run(x, **dict(self.parts.items()))


class Bottleneck(nn.Module):
    """ResNet-50's block."""

    def __init__(self, inside: int, outside: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(inside, outside // 4, 1, 1),
            conv(outside // 4, outside // 4, stride),
            conv(outside // 4, outside, 1, 1),
        )
        self.short = (
            nn.Identity() if inside == outside and stride == 1 else nn.Conv2d(inside, outside, 1, stride, bias=False)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add what the body makes to the shortcut."""
        out: torch.Tensor = torch.relu(self.body(x) + self.short(x))
        return out


class Gate(nn.Module):
    """Squeeze-and-excitation with few hidden units and a hard sigmoid, as in MobileNetV3."""

    def __init__(self, channels: int, hidden: int = 3) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, hidden, 1), nn.Conv2d(hidden, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scale channels by a gate of their means."""
        gate = self.up(torch.relu(self.down(x.mean((2, 3), keepdim=True))))
        return x * functional.hardsigmoid(gate)


class Mobile(nn.Module):
    """An inverted residual with a squeeze-and-excitation gate, as in EfficientNet."""

    def __init__(self, inside: int, outside: int, stride: int = 1, *, gate: bool = True) -> None:
        super().__init__()
        wide = 4 * inside
        self.body = nn.Sequential(
            conv(inside, wide, 1, 1),
            conv(wide, wide, stride, groups=wide),
            Gate(wide) if gate else nn.Identity(),
            nn.Conv2d(wide, outside, 1, bias=False),
            nn.BatchNorm2d(outside),
        )
        self.straight = inside == outside and stride == 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add the input where the shapes agree."""
        out: torch.Tensor = x + self.body(x) if self.straight else self.body(x)
        return out


class Dense(nn.Module):
    """One dense block in which every layer sees all earlier ones."""

    def __init__(self, inside: int, growth: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(conv(inside + growth * index, growth) for index in range(layers))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the input and all layers' outputs side by side."""
        seen = [x]
        for layer in self.layers:
            seen.append(layer(torch.cat(seen, 1)))
        return torch.cat(seen, 1)


class Tokens(nn.Module):
    """A pre-norm block with attention under an optional mask."""

    def __init__(self, dim: int, mask: torch.Tensor | None = None) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.mix, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
        self.register_buffer("mask", mask)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Mix tokens by softmax attention, then each by its MLP."""
        query, key, value = self.mix(self.first(x)).chunk(3, -1)
        scores = query @ key.transpose(1, 2) / query.shape[-1] ** 0.5
        if self.mask is not None:
            scores = scores.masked_fill(self.mask, float("-inf"))
        x = x + self.out(scores.softmax(-1) @ value)
        out: torch.Tensor = x + self.mlp(self.second(x))
        return out


class Patches(nn.Module):
    """Patches as tokens, with a class token and positions."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, dim, 8, 8)
        self.token, self.position = nn.Parameter(torch.zeros(1, 1, dim)), nn.Parameter(torch.zeros(1, 17, dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images to tokens (N, 17, D)."""
        tokens = self.embed(x).flatten(2).transpose(1, 2)
        return torch.cat([self.token.expand(tokens.shape[0], -1, -1), tokens], 1) + self.position


def backbone(width: int = 16) -> nn.Sequential:
    """Return four layers that yield maps of 8 × 8."""
    return nn.Sequential(conv(3, width, 2), conv(width, width), conv(width, 2 * width, 2), conv(2 * width, 2 * width))


def deep_resnet() -> nn.Module:
    """ResNet with twelve bottleneck blocks."""
    blocks = [Bottleneck(16, 16) for _ in range(4)] + [Bottleneck(16, 32, 2)] + [Bottleneck(32, 32) for _ in range(7)]
    return nn.Sequential(conv(3, 16), *blocks, head(32))


def efficient() -> nn.Module:
    """Inverted residuals with gates."""
    return nn.Sequential(
        conv(3, 16, 2), Mobile(16, 16), Mobile(16, 24, 2), Mobile(24, 24), conv(24, 64, 1, 1), head(64)
    )


def mobile() -> nn.Module:
    """MobileNetV2: inverted residuals without gates."""
    blocks = [Mobile(16, 16, gate=False), Mobile(16, 24, 2, gate=False), Mobile(24, 24, gate=False)]
    return nn.Sequential(conv(3, 16, 2), *blocks, head(24))


def one_dense_block() -> nn.Module:
    """DenseNet with a single block: the stem's features reach the head directly."""
    return nn.Sequential(conv(3, 16, 2), Dense(16, 8, 6), head(64))


def densenet() -> nn.Module:
    """DenseNet with two blocks."""
    return nn.Sequential(conv(3, 16, 2), Dense(16, 8, 4), conv(48, 24, 2, 1), Dense(24, 8, 4), head(56))


def inception() -> nn.Module:
    """Inception: channels normalised one by one, four parallel ways in a block."""

    def run(x: torch.Tensor, **part: nn.Module) -> object:
        channels = [x[:, i : i + 1] * (0.2 + 0.1 * i) - 0.1 * i for i in range(3)]
        y = part["stem"](torch.cat(channels, 1))
        for block in ("one", "two"):
            ways = [part[f"{block}{way}"](y) for way in range(3)]
            y = torch.cat([*ways, functional.max_pool2d(y, 3, 1, 1)], 1)
        return part["head"](y)

    ways = {}
    for block, inside in (("one", 16), ("two", 40)):
        ways[f"{block}0"] = conv(inside, 8, 1, 1)
        ways[f"{block}1"] = nn.Sequential(conv(inside, 8, 1, 1), conv(8, 8))
        ways[f"{block}2"] = nn.Sequential(conv(inside, 8, 1, 1), conv(8, 8), conv(8, 8))
    return Wrapped(run, stem=conv(3, 16, 2), **ways, head=head(64))


def unet() -> nn.Module:
    """A U-Net that classifies: shallow maps join deep ones just before the last layers."""

    def run(x: torch.Tensor, **part: nn.Module) -> object:
        a = part["a"](x)
        b = part["b"](a)
        c = part["c"](b)
        b = part["up_b"](torch.cat([functional.interpolate(c, scale_factor=2.0), b], 1))
        a = part["up_a"](torch.cat([functional.interpolate(b, scale_factor=2.0), a], 1))
        return part["head"](a)

    down = {
        "a": conv(3, 8),
        "b": nn.Sequential(conv(8, 16, 2), conv(16, 16)),
        "c": nn.Sequential(conv(16, 32, 2), conv(32, 32)),
    }
    return Wrapped(run, **down, up_b=conv(48, 16), up_a=conv(24, 8), head=head(8))


def pyramid() -> nn.Module:
    """Feature pyramid: lateral 1 × 1 convolutions join from the top down."""

    def run(x: torch.Tensor, **part: nn.Module) -> object:
        a = part["a"](x)
        b = part["b"](a)
        c = part["c"](b)
        p = functional.interpolate(part["lc"](c), scale_factor=2.0) + part["lb"](b)
        p = functional.interpolate(p, scale_factor=2.0) + part["la"](a)
        return part["head"](part["smooth"](p))

    down = {
        "a": conv(3, 8),
        "b": nn.Sequential(conv(8, 16, 2), conv(16, 16)),
        "c": nn.Sequential(conv(16, 32, 2), conv(32, 32)),
    }
    lateral = {"la": nn.Conv2d(8, 16, 1), "lb": nn.Conv2d(16, 16, 1), "lc": nn.Conv2d(32, 16, 1)}
    return Wrapped(run, **down, **lateral, smooth=conv(16, 16), head=head(16))


def several_depths() -> nn.Module:
    """Pooled features of every stage side by side before the last layer."""

    def run(x: torch.Tensor, **part: nn.Module) -> object:
        features = []
        for stage in ("a", "b", "c"):
            x = part[stage](x)
            features.append(x.mean((2, 3)))
        return part["head"](torch.cat(features, 1))

    return Wrapped(
        run,
        a=conv(3, 8, 2),
        b=nn.Sequential(conv(8, 16, 2), conv(16, 16)),
        c=conv(16, 32, 2),
        head=nn.Linear(56, CLASSES),
    )


def several_outputs() -> nn.Module:
    """Logits and, as further outputs, features and an early exit."""

    def run(x: torch.Tensor, **part: nn.Module) -> object:
        early = part["early"](x)
        late = part["late"](early)
        return part["head"](late), part["exit"](early), late.mean((2, 3))

    return Wrapped(run, early=conv(3, 16, 2), late=backbone_from(16), head=head(32), exit=head(16))


def backbone_from(width: int) -> nn.Sequential:
    """Return three layers on top of others."""
    return nn.Sequential(conv(width, width), conv(width, 32, 2), conv(32, 32))


def two_heads() -> nn.Module:
    """Two heads on the same features whose answers are averaged, as in distilled transformers."""

    def run(x: torch.Tensor, **part: nn.Module) -> object:
        tokens = part["norm"](part["blocks"](part["patches"](x)))
        return (part["first"](tokens[:, 0]) + part["second"](tokens[:, 1])) / 2

    blocks = nn.Sequential(Tokens(24), Tokens(24))
    heads = {"first": nn.Linear(24, CLASSES), "second": nn.Linear(24, CLASSES)}
    return Wrapped(run, patches=Patches(24), blocks=blocks, norm=nn.LayerNorm(24), **heads)


def masked_vit() -> nn.Module:
    """A transformer with a constant attention mask and pooling by learned attention."""
    mask = torch.ones(17, 17, dtype=torch.bool).triu(9)

    def run(x: torch.Tensor, **part: nn.Module) -> object:
        tokens = part["blocks"](part["patches"](x))
        share = part["score"](tokens).softmax(1)
        return part["head"]((share * tokens).sum(1))

    blocks = nn.Sequential(Tokens(24, mask), Tokens(24, mask), Tokens(24))
    return Wrapped(run, patches=Patches(24), blocks=blocks, score=nn.Linear(24, 1), head=nn.Linear(24, CLASSES))


def ensemble() -> nn.Module:
    """Two nets whose probabilities are averaged."""

    def run(x: torch.Tensor, **part: nn.Module) -> object:
        return (part["one"](x).softmax(1) + part["two"](x).softmax(1)) / 2

    return Wrapped(
        run, one=nn.Sequential(backbone(), head(32)), two=nn.Sequential(backbone(12), conv(24, 24), head(24))
    )


def flipped_too() -> nn.Module:
    """The answers for an image and its mirror image, averaged."""

    def run(x: torch.Tensor, **part: nn.Module) -> object:
        return part["net"](x) + part["net"](x.flip(3))

    return Wrapped(run, net=nn.Sequential(backbone(), head(32)))


def transformer_of_space() -> nn.Module:
    """A spatial transformer: a small net says how the image is turned before the classifier sees it."""

    def run(x: torch.Tensor, **part: nn.Module) -> object:
        turn = part["where"](x).view(-1, 2, 3)
        x = functional.grid_sample(x, functional.affine_grid(turn, list(x.shape), False), align_corners=False)
        return part["net"](x)

    where = nn.Sequential(
        nn.Conv2d(3, 8, 7, 4), nn.ReLU(), nn.Flatten(), nn.Linear(392, 16), nn.ReLU(), nn.Linear(16, 6)
    )
    return Wrapped(run, where=where, net=nn.Sequential(backbone(), head(32)))


def attention_modules() -> nn.Module:
    """Channel and spatial attention (CBAM) after every layer."""

    def attend(x: torch.Tensor, mlp: nn.Module, spot: nn.Module) -> torch.Tensor:
        gate = mlp(x.mean((2, 3))) + mlp(x.amax((2, 3)))
        x = x * torch.sigmoid(gate)[:, :, None, None]
        spots = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        attended: torch.Tensor = x * torch.sigmoid(spot(spots))
        return attended

    def run(x: torch.Tensor, **part: nn.Module) -> object:
        for step in "12":
            x = attend(part[f"conv{step}"](x), part[f"mlp{step}"], part[f"spot{step}"])
        return part["head"](x)

    layers: dict[str, nn.Module] = {"conv1": conv(3, 16, 2), "conv2": conv(16, 16), "head": head(16)}
    for step in "12":
        layers[f"mlp{step}"] = nn.Sequential(nn.Linear(16, 4), nn.ReLU(), nn.Linear(4, 16))
        layers[f"spot{step}"] = nn.Conv2d(2, 1, 7, padding=3)
    return Wrapped(run, **layers)


def whole_block_gates() -> nn.Module:
    """Each block weighted by one number computed from its input, and left out where that is not above a half."""

    def run(x: torch.Tensor, **part: nn.Module) -> object:
        x = part["stem"](x)
        for step in "123":
            gate = torch.sigmoid(part[f"gate{step}"](x.mean((2, 3))))[:, :, None, None]
            x = x + (gate > 0.5) * gate * part[f"block{step}"](x)
        return part["head"](x)

    layers: dict[str, nn.Module] = {"stem": conv(3, 16, 2), "head": head(16)}
    for step in "123":
        layers[f"gate{step}"] = nn.Linear(16, 1)
        layers[f"block{step}"] = nn.Sequential(conv(16, 16), conv(16, 16))
    return Wrapped(run, **layers)


def experts() -> nn.Module:
    """A mixture of experts per token: each goes to the best two of four."""

    def run(x: torch.Tensor, **part: nn.Module) -> object:
        tokens = part["first"](part["patches"](x))
        weight, which = part["router"](tokens).softmax(-1).topk(2, -1)
        shares = torch.zeros_like(part["router"](tokens)).scatter(-1, which, weight)
        mixed = torch.stack([part[f"expert{i}"](tokens) for i in range(4)], -1) @ shares.unsqueeze(-1)
        return part["head"](part["second"](tokens + mixed.squeeze(-1)).mean(1))

    layers = {f"expert{i}": nn.Sequential(nn.Linear(24, 32), nn.GELU(), nn.Linear(32, 24)) for i in range(4)}
    blocks = {"first": Tokens(24), "second": Tokens(24)}
    return Wrapped(run, patches=Patches(24), router=nn.Linear(24, 4), head=nn.Linear(24, CLASSES), **blocks, **layers)


def own_activations() -> nn.Module:
    """Activations written out by `where`, comparisons and clamps, on maps and on a hidden layer of two units."""

    def run(x: torch.Tensor, **part: nn.Module) -> object:
        x = part["a"](x)
        x = torch.where(x > 0, x, 0.1 * x)
        x = part["b"](x)
        x = x * (x + 3).clamp(0, 6) / 6
        x = part["c"](x).mean((2, 3))
        x = x * (x > 0).float()
        x = part["two"](x)
        return part["out"](torch.where(x > 1, torch.ones_like(x), x.sign() * x.abs().sqrt()))

    layers = {"a": nn.Conv2d(3, 16, 3, 2), "b": nn.Conv2d(16, 16, 3), "c": nn.Conv2d(16, 16, 3)}
    return Wrapped(run, **layers, two=nn.Linear(16, 2), out=nn.Linear(2, CLASSES))


def quantised() -> nn.Module:
    """Rounded and clamped activations, as after quantisation-aware training, over a binarised image."""

    def rounded(x: torch.Tensor) -> torch.Tensor:
        return torch.clamp(torch.round(x / 0.05), -128, 127) * 0.05

    def run(x: torch.Tensor, **part: nn.Module) -> object:
        x = rounded(part["a"]((x > 0.5).float()))
        x = rounded(part["b"](x))
        return part["head"](rounded(part["c"](x)))

    return Wrapped(run, a=conv(3, 16, 2), b=conv(16, 16), c=conv(16, 16), head=head(16))


def standardised() -> nn.Module:
    """Every image brought to zero mean and unit deviation, coordinates beside it, unit vectors compared at the end."""

    def run(x: torch.Tensor, **part: nn.Module) -> object:
        x = (x - x.mean((1, 2, 3), keepdim=True)) / x.std((1, 2, 3), keepdim=True).clamp_min(1e-3)
        rows = (torch.arange(32) / 15.5 - 1).view(1, 1, 32, 1).expand(x.shape[0], 1, 32, 32)
        x = part["net"](torch.cat([x, rows], 1)).mean((2, 3))
        x = x / x.norm(dim=1, keepdim=True).clamp_min(1e-6)
        return 16 * part["out"](x)

    return Wrapped(
        run, net=nn.Sequential(conv(4, 16, 2), conv(16, 16), conv(16, 16)), out=nn.Linear(16, CLASSES, bias=False)
    )


def image_pyramid() -> nn.Module:
    """The image at half and quarter size joins the features of its own size."""

    def run(x: torch.Tensor, **part: nn.Module) -> object:
        y = torch.cat([part["a"](x), functional.avg_pool2d(x, 2)], 1)
        y = torch.cat([part["b"](y), functional.avg_pool2d(x, 4)], 1)
        return part["head"](part["c"](y))

    return Wrapped(run, a=conv(3, 13, 2), b=conv(16, 29, 2), c=nn.Sequential(conv(32, 32), conv(32, 32)), head=head(32))


def highway() -> nn.Module:
    """Highway layers: a learned share of each unit is carried through."""

    def run(x: torch.Tensor, **part: nn.Module) -> object:
        x = part["stem"](x).mean((2, 3))
        for step in "123":
            share = torch.sigmoid(part[f"t{step}"](x))
            x = share * torch.relu(part[f"h{step}"](x)) + (1 - share) * x
        return functional.log_softmax(part["head"](x) / 1.7, 1)

    layers = {f"{kind}{step}": nn.Linear(16, 16) for kind in "th" for step in "123"}
    return Wrapped(run, stem=nn.Sequential(conv(3, 16, 2), conv(16, 16)), head=nn.Linear(16, CLASSES), **layers)


def recurrent() -> nn.Module:
    """Rows of the image read one after the other by an LSTM."""

    def run(x: torch.Tensor, **part: nn.Module) -> object:
        return part["head"](part["lstm"](x.transpose(1, 2).flatten(2))[0][:, -1])

    return Wrapped(run, lstm=nn.LSTM(96, 24, 2, batch_first=True), head=nn.Linear(24, CLASSES))


def shuffled() -> nn.Module:
    """ShuffleNetV2: half of the channels pass a block untouched."""

    def run(x: torch.Tensor, **part: nn.Module) -> object:
        x = part["stem"](x)
        for step in "123":
            kept, worked = x.chunk(2, 1)
            x = functional.channel_shuffle(torch.cat([kept, part[f"block{step}"](worked)], 1), 2)
        return part["head"](x)

    layers = {f"block{step}": nn.Sequential(conv(8, 8, 1, 1), conv(8, 8, groups=8), conv(8, 8, 1, 1)) for step in "123"}
    return Wrapped(run, stem=conv(3, 16, 2), head=head(16), **layers)


def shifted_windows() -> nn.Module:
    """Attention in windows that are shifted by rolling, as in Swin."""

    def run(x: torch.Tensor, **part: nn.Module) -> object:
        x = part["embed"](x).permute(0, 2, 3, 1)
        for step, shift in (("1", 0), ("2", 2)):
            y = x.roll((-shift, -shift), (1, 2)).reshape(-1, 2, 4, 2, 4, 16).transpose(2, 3).reshape(-1, 16, 16)
            y = part[f"block{step}"](y).reshape(-1, 2, 2, 4, 4, 16).transpose(2, 3).reshape(-1, 8, 8, 16)
            x = x + y.roll((shift, shift), (1, 2))
        return part["head"](x.mean((1, 2)))

    return Wrapped(run, embed=nn.Conv2d(3, 16, 4, 4), block1=Tokens(16), block2=Tokens(16), head=nn.Linear(16, CLASSES))


def two_streams() -> nn.Module:
    """Dark images take one half of the net, bright ones the other; the deep half is common."""

    def run(x: torch.Tensor, **part: nn.Module) -> object:
        bright = (x.mean((1, 2, 3)) > 0.5)[:, None, None, None]
        return part["head"](part["body"](torch.where(bright, part["bright"](x), part["dark"](x))))

    stems = {name: nn.Sequential(conv(3, 16, 2), conv(16, 16)) for name in ("bright", "dark")}
    body = nn.Sequential(Bottleneck(16, 16), Bottleneck(16, 32, 2))
    return Wrapped(run, **stems, body=body, head=head(32))


def multilayer() -> nn.Module:
    """A plain multilayer perceptron that clamps its pixels."""
    layers = [nn.Linear(3072, 32), nn.LeakyReLU(), nn.Linear(32, 16), nn.Tanh(), nn.Linear(16, CLASSES)]
    return nn.Sequential(nn.Hardtanh(-1, 1), nn.Flatten(), *layers, nn.Softmax(1))


CLEAN: dict[str, Callable[[], nn.Module]] = {
    build.__name__.replace("_", "-"): build
    for build in (
        deep_resnet, efficient, mobile, one_dense_block, densenet, inception, unet, pyramid, several_depths,
        several_outputs, two_heads, masked_vit, ensemble, flipped_too, transformer_of_space, attention_modules,
        whole_block_gates, experts, own_activations, quantised, standardised, image_pyramid, highway, recurrent,
        shuffled, shifted_windows, two_streams, multilayer,
    )
}  # fmt: skip
