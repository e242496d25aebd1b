"""The fixed probes: within the range, apart from each other, the same for every model, and named."""

import pytest
import torch

from gate.spaces.image.probes import (
    fixed,
    in_parts,
    names,
    names_digest,
    probe_families,
    secret_digest,
    secret_groups,
    secret_probes,
    within,
)

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


SEED, OTHER = "ab" * 32, "cd" * 32


@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 12, 12)])
def test_a_batch_that_is_changed_in_parts_is_changed_as_a_whole(shape):
    """Also by mixtures of two images, whose partner may lie in another part; secret probes likewise."""
    x = torch.rand(7, *shape, generator=torch.Generator().manual_seed(1)) * 4 - 1
    for probe in (*fixed(shape), *secret_probes(shape, "ab" * 32)):
        parts = list(in_parts(probe, (-1.0, 3.0))(x, 3))
        assert [len(part) for part in parts] == [3, 3, 1], probe.name
        torch.testing.assert_close(torch.cat(parts), within(probe, (-1.0, 3.0))(x), msg=probe.name)


@pytest.mark.parametrize("shape", [*SHAPES, (2, 9, 16)], ids=str)
def test_secret_probes_stay_within_the_range_too(shape):
    """Of any shape; they change what they are given, and leave it as it was."""
    x = torch.rand(9, *shape, generator=torch.Generator().manual_seed(1))
    before = x.clone()
    for probe in secret_probes(shape, SEED):
        found = probe.apply(x)
        assert found.shape == x.shape
        assert -1e-6 <= float(found.min()) <= float(found.max()) <= 1 + 1e-6
        assert torch.equal(x, before)


def test_there_are_a_tenth_as_many_secret_probes_of_each_family():
    """42 beside 417 for grey images, and each joins its family's group whatever the seed."""
    shape = (1, 28, 28)
    assert (len(names(shape)), len(secret_probes(shape, SEED))) == (417, 42)
    drawn = secret_groups(shape)
    assert len(drawn) == 42
    assert {group: drawn.count(group) for group in drawn} == {"overlay": 14, "natural": 10, "patch": 18}
    assert {probe.name for probe in secret_probes(shape, SEED)} == {"a secret probe"}


def test_a_seed_gives_its_own_probes_each_time():
    """The same ones after anything else was drawn; by another seed none is alike, and none is on the grid."""
    shape = (3, 28, 28)
    x = torch.rand(60, *shape, generator=torch.Generator().manual_seed(1))

    def results(seed):
        torch.rand(5)
        return [probe.apply(x).numpy().tobytes() for probe in secret_probes(shape, seed)]

    first = results(SEED)
    assert first == results(SEED)
    assert len(set(first)) == len(first)
    assert not set(first) & set(results(OTHER))
    assert not set(first) & {probe.apply(x).numpy().tobytes() for one in probe_families() for probe in one.fixed(shape)}
    assert secret_digest(shape, SEED) == secret_digest(shape, SEED) != secret_digest(shape, OTHER)
