"""Tensors become small pictures: bounded, rounded and in the right order."""

import pytest
import torch

from gate.records.evidence import MAX_PICTURE_SIDE
from gate.spaces.image.pictures import picture


def test_values_are_scaled_by_the_bounds_and_clamped():
    """The least value is black, the greatest white, and what lies beyond is cut."""
    image = torch.tensor([[[-2.0, -1.0], [0.0, 9.0]]])
    assert list(picture(image, "sample", (-1.0, 1.0), None, "").raw()) == [0, 0, 128, 255]


def test_colours_stand_side_by_side():
    """Three channels are interleaved pixel by pixel."""
    image = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]], [[0.0, 0.0]]])
    found = picture(image, "sample", (0.0, 1.0), None, "")
    assert (found.height, found.width, found.channels) == (1, 2, 3)
    assert list(found.raw()) == [255, 0, 0, 0, 255, 0]


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 12])
def test_large_images_and_odd_channels_are_averaged(channels):
    """A picture has one or three channels and no side above the limit, and keeps an even grey."""
    image = torch.full((channels, 3, 2 * MAX_PICTURE_SIDE + 1), 0.2)
    found = picture(image, "sample", (0.0, 1.0), None, "")
    assert found.channels == (3 if channels == 3 else 1)
    assert max(found.height, found.width) <= MAX_PICTURE_SIDE
    assert set(found.raw()) == {51}


def test_a_picture_without_numbers_is_still_a_picture():
    """NaN has no brightness; it must break nothing."""
    assert len(picture(torch.full((1, 2, 2), float("nan")), "mask", (0.0, 1.0), None, "").raw()) == 4
