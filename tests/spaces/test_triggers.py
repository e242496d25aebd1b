"""Families of triggers: each stays in bounds, acts on its own batch alone, starts small, and measures what it does.

A family that is added to the folder is held to all of this, as its detector searches for it.
"""

import pytest
import torch

from gate import detectors
from gate.spaces.image.triggers import inverted_families
from gate.spaces.image.triggers.additive import Additions
from gate.spaces.image.triggers.warp import Warps

SHAPE, LARGE, BOUNDS = (3, 12, 10), (3, 150, 130), (-2.0, 5.0)
SEARCHED = {one.family.id: one for one in detectors.by_inversion()}
FAMILIES = {
    name + size: one.family.over(shape, BOUNDS, one.options())
    for name, one in SEARCHED.items()
    for size, shape in (("", SHAPE), (" on large images", LARGE))
}
CHANGES = [name for name in FAMILIES if not name.startswith("patch")]
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


@pytest.mark.parametrize("name", CHANGES)
def test_families_of_changes_start_with_almost_none(name):
    """All but the patch start near the untouched image, a small share of the largest size."""
    family = FAMILIES[name]
    assert (family.size(family.start(4, seeded())) < 0.2 * family.largest).all()


@pytest.mark.parametrize("name", CHANGES)
def test_no_parameters_change_nothing(name):
    """At zero the image passes as it is, and the size is zero."""
    family = FAMILIES[name]
    nothing = tuple(torch.zeros_like(p) for p in family.start(3, seeded()))
    x = images(family)
    torch.testing.assert_close(family.apply(nothing, x), x, rtol=1e-4, atol=1e-4)
    assert (family.size(nothing) < 1e-5).all()


@every
def test_what_a_trigger_is_made_of_is_all_that_it_does(family):
    """By its tensors a trigger is told and applied again, as it was under the parameters of the search."""
    ((one, parameters),) = [
        (one.family, family.start(1, seeded()))
        for one in SEARCHED.values()
        if type(family) is type(one.family.over(SHAPE, BOUNDS, one.options()))
    ]
    tensors = {name: tensor[0] for name, tensor in family.tensors(parameters).items()}
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == one.parts(family.shape)
    x = images(family, 1)
    assert torch.equal(one.applying(tensors, BOUNDS)(x[0]), family.apply(parameters, x)[0])


def test_every_family_is_told_from_the_others():
    """By its tensors, by its id, and by how specific it is; and each has one detector."""
    families = inverted_families()
    assert set(SEARCHED) == {family.id for family in families}
    for told in (lambda f: f.id, lambda f: frozenset(f.parts(SHAPE)), lambda f: f.specificity):
        assert len({told(family) for family in families}) == len(families)
    assert len(detectors.by_inversion()) == len(families)


def test_a_warp_moves_places():
    """A field of one pixel to the right shows every pixel's right neighbour, and its size is one pixel."""
    family = Warps((1, 8, 11), 3, 0.5)
    along = torch.atanh(torch.tensor(1 / 11 / 0.5))
    parameters = (torch.stack([torch.full((3, 3), float(along)), torch.zeros(3, 3)]).unsqueeze(0),)
    x = torch.rand(1, 2, 1, 8, 11, generator=seeded())
    torch.testing.assert_close(family.apply(parameters, x)[..., :-1], x[..., 1:], rtol=1e-4, atol=1e-4)
    assert float(family.size(parameters)) == pytest.approx(1.0, rel=1e-4)


def test_an_addition_has_the_root_mean_square_of_what_it_adds():
    """Its size is measured in shares of the range."""
    family = Additions((1, 4, 4), (0.0, 2.0), 0.25)
    parameters = (torch.full((1, 1, 4, 4), 100.0),)
    x = torch.full((1, 1, 1, 4, 4), 0.5)
    torch.testing.assert_close(family.apply(parameters, x), x + 0.5)
    assert float(family.size(parameters)) == pytest.approx(0.25)


def test_large_images_are_searched_in_cells():
    """The free parameters of a large image are few, and each cell is one value."""
    family = FAMILIES["patch on large images"]
    mask, pattern = family.start(2, seeded())
    assert mask.shape == (2, 1, 50, 44)
    assert pattern.shape == (2, 3, 50, 44)
    shown = family.mask((mask, pattern))
    assert shown.shape == (2, 1, 150, 130)
    assert torch.equal(shown[..., 0, 0], shown[..., 2, 2])
