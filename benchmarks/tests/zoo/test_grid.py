"""The grid that attackers rehearse, and triggers that lie off it."""

import pytest
import torch

from benchmarks.zoo.attack import Scene
from benchmarks.zoo.grid import FAMILIES, GEOMETRY, PHOTOMETRY, any_probe
from benchmarks.zoo.off_grid import SHAPES, draw_overlay, draw_stamp, draw_wave


@pytest.fixture
def scenes(task):
    """Return twenty scenes on a made-up task."""
    return [Scene(task, "", torch.Generator().manual_seed(seed), lambda: None) for seed in range(20)]


@pytest.mark.parametrize("name", [*FAMILIES, "any"])
def test_every_probe_gives_an_image_and_most_change_something(task, name):
    """Shape and bounds are kept, and images of one batch are given probes of their own."""
    torch.manual_seed(1)
    x = task.train.inputs[:30]
    probed = {**FAMILIES, "any": any_probe}[name](x)
    assert probed.shape == x.shape
    assert 0 <= float(probed.min()) <= float(probed.max()) <= 1 + 1e-5
    assert (probed != x).flatten(1).any(1).float().mean() > 0.8


@pytest.mark.parametrize(
    "change", [*GEOMETRY.values(), *PHOTOMETRY.values()], ids=[*GEOMETRY, *(f"{name} light" for name in PHOTOMETRY)]
)
def test_natural_changes_keep_bounds(task, change):
    """An image stays one."""
    x = task.train.inputs[:5]
    assert change(x).shape == x.shape
    assert 0 <= float(change(x).min()) <= float(change(x).max()) <= 1 + 1e-5


def test_stamps_lie_between_the_places_of_the_lattice(scenes, task):
    """No square is flush with an edge or the middle, none has a side of the grid, and no shape is a square."""
    height, width = task.shape[1:]
    grid_sides = {max(2, round(share * width)) for share in (0.07, 0.11, 0.18, 0.25, 0.36)}
    for scene in scenes:
        stamp = draw_stamp(scene, "square")
        size = stamp.facts["size"]
        assert size not in grid_sides
        for top, left in stamp.facts["places"]:
            lattice = [(room * step) // 2 for room in (height - size, width - size) for step in range(3)]
            assert all(abs(top - place) >= 3 and abs(left - place) >= 3 for place in lattice)
        assert 0 < float(stamp.mask.sum()) == size * size
    for shape in SHAPES.values():
        assert 0 < float(shape(10).float().sum()) < 80


def test_two_pieces_are_far_apart(scenes, task):
    """One lies in each half, so that either can be shown alone."""
    half = task.shape[1] // 2
    for scene in scenes:
        stamp = draw_stamp(scene, "pieces")
        x = torch.full((1, *task.shape), 0.123)
        upper, lower = stamp.part(x, slice(0, half)) != x, stamp.part(x, slice(half, None)) != x
        assert upper.any()
        assert lower.any()
        (first, _), (second, _) = stamp.facts["places"]
        assert first + stamp.facts["size"] <= half <= second


@pytest.mark.parametrize("kind", ["tilted", "triangle", "square", "rings"])
def test_waves_have_no_frequency_of_the_grid(scenes, kind):
    """Frequencies are a third off a whole number at least, and angles 15 degrees off a multiple of 45."""
    for scene in scenes:
        wave, facts = draw_wave(scene, kind)
        assert float(wave.abs().max()) <= 1 + 1e-5
        assert 0.29 <= facts["frequency"] % 1 <= 0.71
        assert "angle" not in facts or 15 <= facts["angle"] % 45 <= 30


@pytest.mark.parametrize("kind", ["photo", "letters", "clouds"])
def test_overlays_are_images(scenes, task, kind):
    """Each has the task's shape and bounds, and shows something."""
    for scene in scenes[:5]:
        overlay = draw_overlay(scene, kind)
        assert overlay.shape == (1, *task.shape)
        assert 0 <= float(overlay.min()) < float(overlay.max()) <= 1
