"""The families by name: their eager models, the shape of one sample, and how to export them by torch."""

import warnings

import torch
from eager_models import (
    LSTM,
    ConvNeXt,
    LeNet,
    MobileNet,
    Normalising,
    ResNet,
    SqueezeExcite,
    UNet,
    ViT,
    mlp,
    vgg,
)
from torch import nn

IMAGE = (3, 16, 16)
FAMILIES = {
    "lenet": (LeNet, (1, 28, 28)),
    "resnet": (ResNet, (3, 32, 32)),
    "vgg": (vgg, (3, 32, 32)),
    "mobilenet": (MobileNet, IMAGE),
    "squeeze-excite": (SqueezeExcite, IMAGE),
    "vit": (ViT, IMAGE),
    "unet": (UNet, IMAGE),
    "mlp": (mlp, (20,)),
    "convnext": (ConvNeXt, IMAGE),
    "lstm": (LSTM, (6, 8)),
    "normalising": (Normalising, IMAGE),
}


def make(family, seed=0):
    """Return a family's model in eval mode with lively batch statistics, and the shape of one sample."""
    builder, shape = FAMILIES[family]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = builder()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 1.5)
    return model.eval(), shape


def samples(shape, count, seed=1):
    """Return `count` random samples of a shape."""
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed))


def export(model, shape, path, *, batch=4, dynamic=True):
    """Save a model by torch's own exporter, with a free or a fixed batch size."""
    example = samples(shape, batch, seed=2)
    shapes = ({0: torch.export.Dim("batch")},) if dynamic else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the exporter's remark on an LSTM's flat weights
        program = torch.export.export(model, (example,), dynamic_shapes=shapes)
    torch.export.save(program, path)
    return path
