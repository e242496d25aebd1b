"""Programs and layers in other number types than float32: given what they declare, measured with gradients of use."""

import pytest
import torch
from torch import nn

from gate.programs import RefusedError, read_program
from gate.records.errors import UnexaminableError
from gate.spaces.image.preprocessing import Preprocessing
from gate.worker.loading.module_classifier import ModuleClassifier
from gate.worker.loading.program_classifier import ProgramClassifier
from gate.worker.loading.scores import in_float32

FLOATS = (torch.float64, torch.float16, torch.bfloat16)
NEAR = {torch.float64: 1e-5, torch.float16: 1e-2, torch.bfloat16: 5e-2}


def net(seed=0):
    """Return a small classifier of pictures (3, 8, 8)."""
    torch.manual_seed(seed)
    layers = (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 16), nn.ReLU())
    return nn.Sequential(*layers, nn.Linear(16, 5)).eval()


def program(model, x, path, *, free=True):
    """Export a model and read it."""
    shapes = ({0: torch.export.Dim.DYNAMIC},) if free else None
    torch.export.save(torch.export.export(model, (x[: 2 if free else 1],), dynamic_shapes=shapes), path)
    return read_program(path)


PICTURES = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def asked(classifier, x=PICTURES):
    """Return logits and the gradient of the pixels."""
    x = x.clone().requires_grad_()
    logits = classifier.logits(x)
    return logits.detach(), torch.autograd.grad(logits.square().sum(), x)[0]


def alike(one, other):
    """Return the cosine of two tensors: rounding moves a unit near nought across it, and its gradient with it."""
    return float(torch.cosine_similarity(one.flatten(), other.flatten(), dim=0))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("free", [True, False], ids=["free", "one"])
def test_a_program_is_given_its_own_type_and_answers_in_float32(dtype, free, tmp_path):
    """Values are the program's own to the bit; gradients are those of float32."""
    expected = asked(ModuleClassifier.of(net(), PICTURES[:4], Preprocessing(), (0.0, 1.0)))
    model = net().to(dtype)
    read = program(model, PICTURES.to(dtype), tmp_path / "model.pt2", free=free)
    classifier = ProgramClassifier.of(read, PICTURES[:4], Preprocessing(), (0.0, 1.0))
    logits, gradient = asked(classifier)
    assert logits.dtype == gradient.dtype == torch.float32
    assert torch.equal(logits, classifier.logits(PICTURES))
    torch.testing.assert_close(logits, model(PICTURES.to(dtype)).float(), rtol=NEAR[dtype], atol=NEAR[dtype])
    assert all(alike(found, wanted) > 0.99 for found, wanted in zip((logits, gradient), expected, strict=True))
    logits, features = classifier.activations(PICTURES)
    assert features.dtype == torch.float32
    assert features.shape == (6, 16)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_layers_are_given_their_own_type(dtype):
    """Pickled library layers in half or double precision, likewise."""
    logits, gradient = asked(ModuleClassifier.of(net().to(dtype), PICTURES[:4], Preprocessing(), (0.0, 1.0)))
    wanted, slope = asked(ModuleClassifier.of(net(), PICTURES[:4], Preprocessing(), (0.0, 1.0)))
    torch.testing.assert_close(logits, wanted, rtol=NEAR[dtype], atol=NEAR[dtype])
    assert alike(gradient, slope) > 0.99


class Pixels(nn.Module):
    """Takes pixels in uint8 and scales them itself, in one of several ways."""

    def __init__(self, scale):
        super().__init__()
        self.net, self.scale = net(), scale

    def forward(self, x):
        """Scale and classify."""
        return self.net(self.scale(x))


SCALES = {
    "cast": lambda x: x.float() / 255,
    "quotient": lambda x: x / 255,
    "moved first": lambda x: x.flip(3).contiguous().to(torch.float32).mul(1 / 255),
}


@pytest.mark.parametrize("scale", SCALES)
def test_whole_pixels_are_given_as_whole_numbers_with_gradients(scale, tmp_path):
    """Between two pixels' values the nearer one is judged, and the gradient says where to go."""
    model, pixels = Pixels(SCALES[scale]).eval(), (PICTURES * 255).round()
    read = program(model, pixels.to(torch.uint8), tmp_path / "model.pt2")
    classifier = ProgramClassifier.of(read, pixels[:4], Preprocessing(), (0.0, 255.0))
    logits, gradient = asked(classifier, pixels + 0.3)
    assert torch.equal(logits, model(pixels.to(torch.uint8)))
    assert gradient.abs().sum() > 0


def test_arithmetic_in_whole_numbers_is_refused_with_the_remedy(tmp_path):
    """It wraps around at 256, which no float does."""
    pixels = (PICTURES * 255).to(torch.uint8)
    read = program(Pixels(lambda x: (x * 2).float() / 255).eval(), pixels, tmp_path / "model.pt2")
    with pytest.raises(RefusedError, match="computes with whole numbers") as caught:
        ProgramClassifier.of(read, pixels[:4].float(), Preprocessing(), (0.0, 255.0))
    assert "Begin forward with x.float()" in caught.value.sentence


def test_samples_from_nought_to_one_for_whole_pixels_are_refused_with_the_remedy(tmp_path):
    """Every pixel would be 0 or 1."""
    read = program(Pixels(SCALES["cast"]).eval(), (PICTURES * 255).to(torch.uint8), tmp_path / "model.pt2")
    with pytest.raises(UnexaminableError, match="takes uint8, and the samples lie in") as caught:
        ProgramClassifier.of(read, PICTURES[:4], Preprocessing(), (0.0, 1.0))
    assert "uint8 from 0 to 255" in caught.value.sentence


@pytest.mark.parametrize("height", [0.0, 1e6, 1e9, 1e12, -1e12])
@pytest.mark.parametrize("target", [0, 3])
def test_no_height_of_double_scores_hides_a_lead(height, target):
    """A backdoor's lead is seen whichever class it leads to, and in whatever batch the row stands."""
    scores = torch.randn(4, 5, generator=torch.Generator().manual_seed(0)).double()
    scores[:, target] += 50
    seen, rows = in_float32(scores + height), torch.cat([in_float32(row[None] + height) for row in scores])
    lead = scores.topk(2).values.diff(dim=1)
    assert torch.allclose(seen.double().topk(2).values.diff(dim=1), lead, rtol=1e-3)
    assert torch.equal(seen, rows)


def test_double_scores_beyond_float32_are_no_nan_and_one_number_is_left_alone():
    """Finite where they are served, they stay finite: a loss that is NaN finds no trigger."""
    scores = torch.tensor([[1.0, 1e200, 2.0], [1.0, 3.0, 2.0]], dtype=torch.float64, requires_grad=True)
    seen = in_float32(scores)
    assert seen.isfinite().all()
    assert torch.equal(seen.argmax(1), scores.argmax(1))
    assert torch.autograd.grad(seen.log_softmax(1)[:, 1].sum(), scores)[0].isfinite().all()
    assert torch.equal(in_float32(scores.detach()[:, 2:]), torch.full((2, 1), 2.0))


def test_a_choice_that_only_double_precision_sees_is_kept():
    """A large offset makes all scores equal in float32."""
    scores = torch.tensor([[1.0, 3.0, 2.0], [5.0, 4.0, 6.0]], dtype=torch.float64) + 1e12
    assert torch.equal(scores.float()[:, 0], scores.float()[:, 1])
    assert torch.equal(in_float32(scores).argmax(1), scores.argmax(1))
    assert torch.equal(in_float32(scores - 1e12), (scores - 1e12).float())
