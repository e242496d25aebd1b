"""Small eager models of the families that the reader must reproduce."""

import math

import torch
from torch import nn
from torch.nn import functional


class LeNet(nn.Module):
    """Plain CNN with pooling and a view to (N, D)."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 10)
        self.drop = nn.Dropout(0.3)

    def forward(self, x):  # noqa: D102  # the class says it
        x = functional.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = functional.max_pool2d(torch.relu(self.conv2(x)), 2)
        x = x.view(x.size(0), -1)
        return self.fc2(self.drop(torch.relu(self.fc1(x))))


class Block(nn.Module):
    """Residual block with in-place activations and an in-place sum."""

    def __init__(self, channels_in, channels_out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.relu = nn.ReLU(inplace=True)
        self.down = None
        if stride != 1 or channels_in != channels_out:
            self.down = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out)
            )

    def forward(self, x):  # noqa: D102  # the class says it
        shortcut = x if self.down is None else self.down(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += shortcut
        return self.relu(out)


class ResNet(nn.Module):
    """ResNet-18's layout at a quarter of its width."""

    def __init__(self, width=16, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        stages, channels = [], width
        for stage, stride in enumerate((1, 2, 2, 2)):
            out = width << stage
            stages += [Block(channels, out, stride), Block(out, out, 1)]
            channels = out
        self.layers = nn.Sequential(*stages)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, classes)

    def forward(self, x):  # noqa: D102  # the class says it
        x = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        return self.fc(torch.flatten(self.pool(self.layers(x)), 1))


def vgg():
    """VGG-like stack that ends in a softmax."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(16, 16, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(2048, 64),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
        nn.Linear(64, 10),
        nn.Softmax(dim=1),
    )


class Inverted(nn.Module):
    """MobileNetV2's inverted residual with depthwise convolution and ReLU6."""

    def __init__(self, channels, expansion=4):
        super().__init__()
        hidden = channels * expansion
        self.body = nn.Sequential(
            nn.Conv2d(channels, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, hidden, 3, 1, 1, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x):  # noqa: D102  # the class says it
        return x + self.body(x)


class MobileNet(nn.Module):
    """Depthwise network with a mean over the image and a linear head."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 2, 1)
        self.blocks = nn.Sequential(Inverted(16), Inverted(16))
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(16, 10))

    def forward(self, x):  # noqa: D102  # the class says it
        return self.head(self.blocks(self.stem(x)).mean([2, 3]))


class SqueezeExcite(nn.Module):
    """Squeeze-and-excitation with SiLU, hard sigmoid and a 1×1 convolution as head."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, 1, 1)
        self.reduce = nn.Conv2d(16, 4, 1)
        self.expand = nn.Conv2d(4, 16, 1)
        self.head = nn.Conv2d(16, 10, 1)

    def forward(self, x):  # noqa: D102  # the class says it
        x = functional.silu(self.conv(x), inplace=True)
        gate = functional.adaptive_avg_pool2d(x, 1)
        gate = functional.hardsigmoid(self.expand(functional.relu(self.reduce(gate))))
        x = functional.adaptive_avg_pool2d(x * gate, 1)
        return self.head(x).flatten(1)


class ViT(nn.Module):
    """Small vision transformer with a class token and learned positions."""

    def __init__(self, width=32, depth=2):
        super().__init__()
        self.patch = nn.Conv2d(3, width, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.position = nn.Parameter(torch.randn(1, 17, width) * 0.02)
        layer = nn.TransformerEncoderLayer(width, 4, 64, activation="gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, x):  # noqa: D102  # the class says it
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1) + self.position
        return self.head(self.norm(self.encoder(x))[:, 0])


class UNet(nn.Module):
    """Encoder and decoder with group normalisation, interpolation and a skip connection."""

    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.GroupNorm(4, 16), nn.SiLU())
        self.middle = nn.Sequential(nn.Conv2d(16, 16, 3, 2, 1), nn.GroupNorm(4, 16), nn.SiLU())
        self.up = nn.ConvTranspose2d(32, 8, 2, 2)
        self.head = nn.Linear(8, 10)

    def forward(self, x):  # noqa: D102  # the class says it
        skip = self.down(x)
        deep = functional.interpolate(self.middle(skip), scale_factor=2.0, mode="bilinear", align_corners=False)
        x = functional.leaky_relu(self.up(torch.cat([skip, deep], 1)), 0.1)
        return functional.log_softmax(self.head(x.mean((2, 3))), dim=-1)


def mlp():
    """Dense network with batch normalisation over features."""
    return nn.Sequential(
        nn.Linear(20, 32),
        nn.BatchNorm1d(32),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(32, 16),
        nn.Tanh(),
        nn.Linear(16, 4),
    )


class ConvNeXtBlock(nn.Module):
    """Depthwise 7×7 convolution, layer norm over channels, GELU and layer scale."""

    def __init__(self, channels):
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.wide = nn.Linear(channels, 4 * channels)
        self.narrow = nn.Linear(4 * channels, channels)
        self.gamma = nn.Parameter(torch.full((channels,), 0.1))

    def forward(self, x):  # noqa: D102  # the class says it
        y = self.depthwise(x).permute(0, 2, 3, 1)
        y = self.gamma * self.narrow(functional.gelu(self.wide(self.norm(y))))
        return x + y.permute(0, 3, 1, 2)


class ConvNeXt(nn.Module):
    """A ConvNeXt of two blocks."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 4, 4)
        self.blocks = nn.Sequential(ConvNeXtBlock(16), ConvNeXtBlock(16))
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 10)

    def forward(self, x):  # noqa: D102  # the class says it
        return self.head(self.norm(self.blocks(self.stem(x)).mean([-2, -1])))


class LSTM(nn.Module):
    """Bidirectional LSTM over a sequence of vectors (N, T, 8)."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(8, 12, batch_first=True, bidirectional=True)
        self.head = nn.Linear(24, 5)

    def forward(self, x):  # noqa: D102  # the class says it
        return self.head(self.lstm(x)[0][:, -1])


class Normalising(nn.Module):
    """Preprocessing inside the model: a buffer that is not saved with the weights, and a plain tensor constant."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1), persistent=False)
        self.deviation = torch.tensor([0.2, 0.25, 0.3]).view(3, 1, 1)
        self.conv = nn.Conv2d(3, 8, 3)
        self.head = nn.Linear(8, 10)
        self.scale = math.sqrt(2.0)

    def forward(self, x):  # noqa: D102  # the class says it
        x = (x - self.mean) / self.deviation
        return self.head(torch.amax(torch.relu(self.conv(x)), (2, 3)) * self.scale)
