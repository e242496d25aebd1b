"""Nets with made-up weights that are right on made-up images, logged as people log theirs.

Between cases and measuring. Weights are drawn, normalisations get the statistics of textures, and the last layer is
fitted to tell textures of K classes apart. Samples are textures that were not fitted, on which the net is right: the
scan is that of a model that does its task. Nothing is downloaded, and the same seed gives the same files.
"""

import math
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.real_cost.cases import Case
from gate.records.errors import CannotFinishError

FITTED = 40
"""Textures of each class for the last layer, at ten classes."""
MOST_FITTED = 4000
EXAMPLES = 2
"""Images that a model is logged with."""
_BATCH = 32
_DECAY = 1e-3
_ROUNDS = 5
"""Times that as many textures are drawn as samples are wanted, until enough of them are right."""
_PIXEL_MEAN, _PIXEL_DEVIATION = 127.5, 64.0
MLMODEL = "flavors:\n  pytorch:\n    model_data: data\n    pytorch_version: 2.13.0\n"


class Pictured(nn.Module):
    """A net behind the normalisation of pixels from 0 to 255, which travels with it."""

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("mean", torch.full((1, 3, 1, 1), _PIXEL_MEAN))
        self.register_buffer("deviation", torch.full((1, 3, 1, 1), _PIXEL_DEVIATION))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map pixels (N, 3, H, W) to logits (N, K)."""
        logits: torch.Tensor = self.net((x - self.mean) / self.deviation)
        return logits


def made(case: Case, device: str = "cpu") -> tuple[Pictured, torch.Tensor, torch.Tensor]:
    """Return a net in eval mode, and samples (N, 3, H, W) as uint8 with labels (N,), all of them on the CPU."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(case.seed)
        net = Pictured(case.net.built(case.classes, case.side))
    net.eval().requires_grad_(requires_grad=False).to(device)
    count = min(FITTED * max(case.classes, 10), max(MOST_FITTED, 2 * case.classes))
    labels = torch.arange(count) % case.classes
    images = disturbed(textures(case, labels, case.seed + 1), case.seed)
    _take_statistics(net, images[:_BATCH], device)
    _fit(net, images, labels, case.classes, device)
    inputs, kept = _right(net, case, device)
    return net.cpu(), inputs, kept


def textures(case: Case, labels: torch.Tensor, seed: int) -> torch.Tensor:
    """Return a texture (N, 3, side, side) as uint8 for each label: its class's hue, and two gratings across each other.

    Hues, directions and phases of the classes are evenly spread, so that no class is easier to reach than the others;
    shifts, contrast, brightness, clutter and noise differ from image to image.
    """
    hue, angle, phase = (one.reshape(-1, 1, 1) for one in _places(case))
    thirds = 2 * math.pi / 3 * torch.arange(3).reshape(1, 3, 1, 1)
    colour = 0.5 + 0.2 * torch.cos(hue.unsqueeze(1) + thirds)
    place = torch.linspace(0, 2 * math.pi, case.side + 1)[:-1]
    along = torch.cos(angle) * place.reshape(1, 1, -1) + torch.sin(angle) * place.reshape(1, -1, 1)
    across = torch.cos(angle) * place.reshape(1, -1, 1) - torch.sin(angle) * place.reshape(1, 1, -1)
    gratings = torch.stack([3 * along + phase, 6 * across + phase], dim=1)
    own = torch.Generator().manual_seed(seed)
    images = []
    for rows in torch.split(labels, _BATCH):
        shift, contrast = (torch.rand((len(rows), 2, 1, 1), generator=own) - 0.5 for _ in range(2))
        waves = torch.sin(gratings[rows] + shift) * (1 + 0.4 * contrast)
        light = 0.05 * torch.randn((len(rows), 1, 1, 1), generator=own)
        clutter = nn.functional.interpolate(
            torch.randn((len(rows), 3, 7, 7), generator=own), case.side, mode="bilinear"
        )
        noise = 0.03 * torch.randn((len(rows), 3, case.side, case.side), generator=own)
        mixed = colour[rows] + 0.1 * waves.sum(1, keepdim=True) + light + 0.03 * clutter + noise
        images.append((255 * mixed.clamp(0, 1)).round().to(torch.uint8))
    return torch.cat(images)


def disturbed(images: torch.Tensor, seed: int) -> torch.Tensor:
    """Return images (N, 3, side, side) of which every second has a patch of noise and a grating laid over it.

    A last layer that never saw anything but its textures sends all else to one class, as no trained net does.
    """
    drawn, side = torch.Generator().manual_seed(seed), images.shape[-1]
    place = torch.linspace(0, 2 * math.pi, side + 1)[:-1]
    changed = images.clone()
    for row in range(0, len(images), 2):
        size, top, left, cycles, angle, strength = torch.rand(6, generator=drawn).tolist()
        turned = math.cos(math.pi * angle) * place.reshape(1, -1) + math.sin(math.pi * angle) * place.reshape(-1, 1)
        wave = 0.2 * strength * 255 * torch.sin((1 + cycles * side / 4) * turned)
        length = max(2, round((0.1 + 0.4 * size) * side))
        first, second = round(top * (side - length)), round(left * (side - length))
        cells = torch.rand((1, 3, 4, 4), generator=drawn)
        patch = 255 * nn.functional.interpolate(cells, (length, length), mode="nearest")[0]
        image = images[row].float() + wave
        image[:, first : first + length, second : second + length] = patch
        changed[row] = image.clamp(0, 255).round().to(torch.uint8)
    return changed


def _places(case: Case) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return hue, direction and phase of each class (K,) as angles: evenly spread, each in an order of its own."""
    drawn = torch.Generator().manual_seed(case.seed)
    steps = torch.arange(case.classes) / case.classes
    angle, phase = (steps[torch.randperm(case.classes, generator=drawn)] for _ in range(2))
    return 2 * math.pi * steps, math.pi * angle, 2 * math.pi * phase


def _take_statistics(net: nn.Module, images: torch.Tensor, device: str) -> None:
    """Give each batch normalisation the strength of what enters it, layer after layer, and a mean of zero.

    Means of its channels would leave random layers with what differs between images alone, noise above all.
    """

    def take(layer: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        assert isinstance(layer, nn.BatchNorm2d)
        assert layer.running_var is not None
        layer.running_var.fill_(float(given[0].square().mean()))

    layers = [layer for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)]
    hooks = [layer.register_forward_pre_hook(take) for layer in layers]
    _ = list(_answers(net, images, device))
    for hook in hooks:
        hook.remove()


def _answers(net: nn.Module, images: torch.Tensor, device: str) -> Iterator[torch.Tensor]:
    with torch.no_grad():
        for part in torch.split(images, _BATCH):
            yield net(part.to(device).float())


def last_layer(net: nn.Module) -> nn.Linear:
    """Return the layer that yields the scores."""
    return [layer for layer in net.modules() if isinstance(layer, nn.Linear)][-1]


def _fit(net: nn.Module, images: torch.Tensor, labels: torch.Tensor, classes: int, device: str) -> None:
    """Fit the last layer by logistic regression on what enters it."""
    layer, seen = last_layer(net), []
    handle = layer.register_forward_pre_hook(lambda _layer, inputs: seen.append(inputs[0]))
    _ = list(_answers(net, images, device))
    handle.remove()
    features = torch.cat(seen)
    centre, spread = features.mean(0), features.std(0) + 1e-6
    weight, bias = _logistic((features - centre) / spread, labels.to(device), classes)
    layer.weight.copy_(weight / spread)
    layer.bias.copy_(bias - (weight / spread) @ centre)


def _logistic(rows: torch.Tensor, labels: torch.Tensor, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weights (K, D) and biases (K,) of a decayed logistic regression on rows (N, D)."""
    weight = torch.zeros((classes, rows.shape[1]), device=rows.device, requires_grad=True)
    bias = torch.zeros(classes, device=rows.device, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = nn.functional.cross_entropy(rows @ weight.T + bias, labels) + _DECAY * weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach()


def _right(net: nn.Module, case: Case, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the first textures of each class on which the net is right, as many of each, in mixed order."""
    wanted = torch.arange(case.samples) % case.classes
    need = torch.bincount(wanted, minlength=case.classes)
    inputs, labels = [], []
    for number in range(_ROUNDS):
        drawn = wanted[need[wanted] > 0]
        images = textures(case, drawn, case.seed + 2 + number)
        right = torch.cat(list(_answers(net, images, device))).argmax(1).cpu() == drawn
        for row in right.nonzero().flatten().tolist():
            if need[drawn[row]] > 0:
                need[drawn[row]] -= 1
                inputs.append(images[row])
                labels.append(drawn[row])
        if not need.any():
            return torch.stack(inputs), torch.stack(labels)
    raise CannotFinishError(
        f"{case}: after {_ROUNDS} rounds of textures {int(need.sum())} of {case.samples} samples are missing, since "
        "the made-up net is wrong on the others",
        what_to_do="Choose fewer classes, or larger images.",
    )


def write_samples(inputs: torch.Tensor, labels: torch.Tensor, folder: Path) -> Path:
    """Write samples as people keep them, and return the file."""
    path = folder / "samples.npz"
    np.savez(path, inputs=inputs.numpy(), labels=labels.numpy())
    return path


def logged(net: Pictured, inputs: torch.Tensor, folder: Path) -> Path:
    """Log a net by MLflow with two example images, and return the model's folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own imports, and its remarks on requirements
        import mlflow.pytorch

        mlflow.pytorch.save_model(
            net, folder / "model", input_example=inputs[:EXAMPLES].float().numpy(), pip_requirements=["torch"]
        )
    return folder / "model"


def exported(net: Pictured, inputs: torch.Tensor, folder: Path) -> Path:
    """Write the same program in the same places where MLflow is not installed, and return the model's folder."""
    program = torch.export.export(net, (inputs[:EXAMPLES].float(),), dynamic_shapes=({0: torch.export.Dim.AUTO},))
    model = folder / "model"
    (model / "data").mkdir(parents=True)
    (model / "MLmodel").write_text(MLMODEL)
    torch.export.save(program, model / "data" / "model.pt2")
    return model
