"""Families of triggers: each stays in bounds, acts on its own batch alone, starts small, and measures what it does."""

import pytest
import torch

from gate.spaces.image.triggers.additive import AdditiveFamily
from gate.spaces.image.triggers.patch import PatchFamily
from gate.spaces.image.triggers.tone import ToneFamily
from gate.spaces.image.triggers.warp import WarpFamily

SHAPE, BOUNDS = (3, 12, 10), (-2.0, 5.0)
FAMILIES = {
    "patch": PatchFamily(SHAPE, BOUNDS),
    "additive": AdditiveFamily(SHAPE, BOUNDS, 0.25),
    "warp": WarpFamily(SHAPE, 4, 0.2),
    "tone": ToneFamily(SHAPE, BOUNDS, 6, 0.5),
    "patch in cells": PatchFamily((3, 150, 130), BOUNDS),
    "additive in cells": AdditiveFamily((1, 150, 130), BOUNDS, 0.25),
}
every = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES.keys())


def seeded(seed=0):
    """Return a generator of its own."""
    return torch.Generator().manual_seed(seed)


def images(family, count=3, batch=2):
    """Return random images within the bounds, (count, batch, C, H, W)."""
    least, greatest = BOUNDS
    return least + (greatest - least) * torch.rand(count, batch, *family.shape, generator=seeded(1))


@every
@pytest.mark.parametrize("scale", [0.0, 1.0, 50.0])
def test_triggered_images_stay_within_the_bounds(family, scale):
    """However far the parameters have gone, images keep their shape and the bounds, and sizes are finite."""
    parameters = tuple(scale * p for p in family.start(3, seeded()))
    x = images(family)
    triggered = family.apply(parameters, x)
    assert triggered.shape == x.shape
    assert triggered.min() >= BOUNDS[0] - 1e-4
    assert triggered.max() <= BOUNDS[1] + 1e-4
    sizes = family.size(parameters)
    assert sizes.shape == (3,)
    assert torch.isfinite(sizes).all()
    assert (sizes <= family.largest * (1 + 1e-5)).all()


@every
def test_each_trigger_acts_on_its_own_batch(family):
    """Another second trigger changes the second batch and nothing else."""
    parameters = family.start(3, seeded())
    others = tuple(p.clone() for p in parameters)
    for p in others:
        p[1] += 1.0
    x = images(family)
    one, other = family.apply(parameters, x), family.apply(others, x)
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[2], other[2])
    assert not torch.allclose(one[1], other[1])


@every
def test_sizes_and_images_have_finite_gradients(family):
    """The optimiser can always move, from the start and from nothing at all."""
    for scale in (1.0, 0.0):
        parameters = tuple((scale * p).requires_grad_() for p in family.start(2, seeded()))
        loss = family.apply(parameters, images(family, 2)).square().sum() + family.size(parameters).sum()
        for gradient in torch.autograd.grad(loss, parameters):
            assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("name", ["additive", "warp", "tone", "additive in cells"])
def test_families_of_changes_start_with_almost_none(name):
    """All but the patch start near the untouched image, a small share of the largest size."""
    family = FAMILIES[name]
    assert (family.size(family.start(4, seeded())) < 0.2 * family.largest).all()


@pytest.mark.parametrize("name", ["additive", "warp", "tone"])
def test_no_parameters_change_nothing(name):
    """At zero the image passes as it is, and the size is zero."""
    family = FAMILIES[name]
    nothing = tuple(torch.zeros_like(p) for p in family.start(3, seeded()))
    x = images(family)
    torch.testing.assert_close(family.apply(nothing, x), x, rtol=1e-4, atol=1e-4)
    assert (family.size(nothing) < 1e-5).all()


def test_a_warp_moves_places():
    """A field of one pixel to the right shows every pixel's right neighbour, and its size is one pixel."""
    family = WarpFamily((1, 8, 11), 3, 0.5)
    along = torch.atanh(torch.tensor(1 / 11 / 0.5))
    parameters = (torch.stack([torch.full((3, 3), float(along)), torch.zeros(3, 3)]).unsqueeze(0),)
    x = torch.rand(1, 2, 1, 8, 11, generator=seeded())
    torch.testing.assert_close(family.apply(parameters, x)[..., :-1], x[..., 1:], rtol=1e-4, atol=1e-4)
    assert float(family.size(parameters)) == pytest.approx(1.0, rel=1e-4)


def test_an_addition_has_the_root_mean_square_of_what_it_adds():
    """Its size is measured in shares of the range."""
    family = AdditiveFamily((1, 4, 4), (0.0, 2.0), 0.25)
    parameters = (torch.full((1, 1, 4, 4), 100.0),)
    x = torch.full((1, 1, 1, 4, 4), 0.5)
    torch.testing.assert_close(family.apply(parameters, x), x + 0.5)
    assert float(family.size(parameters)) == pytest.approx(0.25)


def test_a_tone_curve_depends_on_brightness_alone():
    """Pixels of one tone come out alike wherever they are, and a raised knot raises its tone by as much."""
    family = ToneFamily((1, 4, 4), (0.0, 1.0), 5, 0.5)
    curve = torch.zeros(1, 1, 5)
    curve[..., 2] = 100.0
    x = torch.tensor([0.0, 0.25, 0.4, 0.5]).repeat(4, 1).view(1, 1, 1, 4, 4)
    out = family.apply((curve,), x)[0, 0, 0]
    torch.testing.assert_close(out, out[:1].expand(4, 4))
    torch.testing.assert_close(out[0], torch.tensor([0.0, 0.25, 0.7, 1.0]))


def test_large_images_are_searched_in_cells():
    """The free parameters of a large image are few, and each cell is one value."""
    family = FAMILIES["patch in cells"]
    mask, pattern = family.start(2, seeded())
    assert mask.shape == (2, 1, 50, 44)
    assert pattern.shape == (2, 3, 50, 44)
    shown = family.mask((mask, pattern))
    assert shown.shape == (2, 1, 150, 130)
    assert torch.equal(shown[..., 0, 0], shown[..., 2, 2])
