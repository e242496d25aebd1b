"""The fixed probes: within the range, apart from each other, the same for every model, and named."""

import pytest
import torch

from gate.spaces.image.probes import names, names_digest, probe_families, within

SHAPES = [(1, 28, 28), (3, 32, 32), (3, 12, 20), (1, 4, 4)]


@pytest.mark.parametrize("family", probe_families(), ids=lambda family: family.id)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_probe_stays_within_the_range_and_leaves_its_input_alone(family, shape):
    """Each yields images of the same shape in [0, 1]; what it was given is as before."""
    x = torch.rand(9, *shape, generator=torch.Generator().manual_seed(1))
    before = x.clone()
    for probe in family.fixed(shape):
        found = probe.apply(x)
        assert found.shape == x.shape, probe.name
        assert -1e-6 <= float(found.min()) <= float(found.max()) <= 1 + 1e-6, probe.name
        assert torch.equal(x, before), probe.name


def test_no_probe_is_there_twice():
    """On images of ordinary size all of a family's probes differ, by name and by what they do."""
    x = torch.rand(9, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    for family in probe_families():
        probes = family.fixed((3, 32, 32))
        assert len({probe.name for probe in probes}) == len(probes)
        results = {probe.apply(x).numpy().tobytes() for probe in probes}
        assert len(results) == len(probes), family.id


def test_probes_are_the_same_at_every_call():
    """They depend on the shape alone, whatever was drawn before."""
    x = torch.rand(9, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    for family in probe_families():
        first = [probe.apply(x) for probe in family.fixed((1, 28, 28))]
        torch.rand(5)
        again = [probe.apply(x) for probe in family.fixed((1, 28, 28))]
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_names_have_a_digest():
    """Another shape has other probes, and so another digest."""
    assert len(names((1, 28, 28))) == sum(len(family.fixed((1, 28, 28))) for family in probe_families())
    assert names_digest((1, 28, 28)) == names_digest((1, 28, 28)) != names_digest((3, 32, 32))


def test_colour_casts_are_for_colour_images():
    """A grey image has no hue; a turn by a quarter is for square images."""
    grey, colour, oblong = (" ".join(names(shape)) for shape in ((1, 28, 28), (3, 28, 28), (3, 12, 20)))
    assert "reddish" in colour
    assert "reddish" not in grey
    assert "turned left" in colour
    assert "turned left" not in oblong


def test_a_probe_acts_on_raw_inputs_of_any_range():
    """On inputs from -1 to 1 it does what it does on the same images from 0 to 1."""
    x = torch.rand(9, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    for family in probe_families():
        probe = family.fixed((1, 28, 28))[0]
        raw = within(probe, (-1.0, 1.0))(2 * x - 1)
        torch.testing.assert_close((raw + 1) / 2, probe.apply(x))
