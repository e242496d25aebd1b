"""Clean nets with gates, masks, routes, attention, quantisation and activations written out.

All map images (N, 3, 32, 32) to logits (N, 10), or to a tuple with the logits first.
"""

import torch
from torch import nn
from torch.nn import functional

from tests.graphs.layers import CLASSES, Bottleneck, Patches, Tokens, Wrapped, backbone, conv, head


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


def transformer_of_space() -> nn.Module:
    """A spatial transformer: a small net says how the image is turned before the classifier sees it."""

    def run(x: torch.Tensor, **part: nn.Module) -> object:
        turn = part["where"](x).view(-1, 2, 3)
        x = functional.grid_sample(
            x, functional.affine_grid(turn, list(x.shape), align_corners=False), align_corners=False
        )
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
