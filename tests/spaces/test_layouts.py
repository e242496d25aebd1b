"""Models that take their images otherwise than channels first: what detectors see, and what the model is given."""

import numpy as np
import pytest
import torch

from gate.records.errors import UnexaminableError
from gate.records.sample_settings import SampleSettings
from gate.spaces.image.layouts import Arranged, channels_first, in_form
from gate.spaces.image.preprocessing import Preprocessing
from gate.spaces.image.samples import arrange
from gate.spaces.image.stored import RawSamples


def laid(stored: tuple[int, ...], wanted: tuple[int | None, ...] | None, layout: str | None = None) -> Arranged:
    """Arrange numbered samples of a shape, such that an axis in the wrong place shows."""
    inputs = np.arange(np.prod(stored), dtype=np.float32).reshape(stored)
    return arrange(RawSamples(inputs, None, "mine"), wanted, SampleSettings.model_validate({"layout": layout}))


FORMS = {
    "channels last as stored": ((5, 9, 8, 3), (9, 8, 3), None, "NHWC", (3, 9, 8)),
    "channels last, stored first": ((5, 3, 9, 8), (9, 8, 3), None, "NHWC", (3, 9, 8)),
    "channels last, and said so": ((5, 9, 8, 3), (9, 8, 3), "NHWC", "NHWC", (3, 9, 8)),
    "two channels last, and said so": ((5, 9, 8, 2), (9, 8, 2), "NHWC", "NHWC", (2, 9, 8)),
    "channels first, stored last": ((5, 9, 8, 3), (3, 9, 8), None, "NCHW", (3, 9, 8)),
    "channels first": ((5, 3, 9, 8), (3, 9, 8), None, "NCHW", (3, 9, 8)),
    "any sizes": ((5, 9, 8, 3), (None, None, None), None, "NHWC", (3, 9, 8)),
    "any sizes, channels first": ((5, 3, 9, 8), (None, None, None), None, "NCHW", (3, 9, 8)),
    "no axis of channels": ((5, 9, 8), (9, 8), None, "NHW", (1, 9, 8)),
    "no axis of channels, stored with one": ((5, 1, 9, 8), (9, 8), None, "NHW", (1, 9, 8)),
    "grey": ((5, 9, 8), (1, 9, 8), None, "NCHW", (1, 9, 8)),
    "grey, channels last": ((5, 9, 8), (9, 8, 1), None, "NHWC", (1, 9, 8)),
    "a signal of many channels": ((5, 12, 1, 99), (12, 1, 99), None, "NCHW", (12, 1, 99)),
    "more channels than rows": ((5, 40, 32, 30), (40, 32, 30), None, "NCHW", (40, 32, 30)),
    "nothing declared": ((5, 3, 9, 8), None, None, "NCHW", (3, 9, 8)),
}


@pytest.mark.parametrize("case", FORMS)
def test_detectors_see_channels_first_and_the_model_gets_what_it_declares(case):
    """Whatever the order of the axes, none of the numbers changes its place in the image."""
    stored, wanted, layout, form, seen = FORMS[case]
    found = laid(stored, wanted, layout)
    assert (found.form, found.inputs.shape[1:]) == (form, seen)
    given = Preprocessing().taking(found.form)(torch.from_numpy(found.inputs))
    if wanted is not None and None not in wanted:
        assert tuple(given.shape[1:]) == wanted == in_form(seen, form)
    if stored == tuple(given.shape):
        assert torch.equal(given.flatten(), torch.arange(given.numel(), dtype=torch.float32))
    assert given.is_contiguous()


def test_gradients_reach_the_pixels_in_their_own_axes():
    """A search goes through the exchange of axes."""
    pixels = torch.rand(2, 3, 8, 9, requires_grad=True)
    Preprocessing().taking("NHWC")(pixels)[:, 1, 2, 0].sum().backward()
    assert pixels.grad.nonzero().tolist() == [[0, 0, 1, 2], [1, 0, 1, 2]]


def test_means_go_by_channel_whatever_the_axes():
    """The policy's statistics are of channels, and the model's axes come after them."""
    by_channel = Preprocessing.of((1.0, 2.0, 3.0), (1.0, 1.0, 1.0), "cpu").taking("NHWC")
    assert by_channel(torch.zeros(1, 3, 4, 5))[0, 0, 0].tolist() == [-1, -2, -3]


REFUSED = {
    "a table's rows": ((5, 3, 9, 8), (16,), None, "^the model takes rows of 16 numbers.* image classifiers only"),
    "images' rows": ((5, 1, 9, 8), (72,), None, "^the model takes rows of 72 numbers.*torch.nn.Flatten"),
    "another size": ((5, 8, 8, 3), (9, 9, 3), None, "^the samples are 8 × 8 and the program declares 9 × 9: resize"),
    "colour for grey": ((5, 3, 9, 8), (9, 8), None, "^the samples have 3 channels and the program declares 1 channel"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_told_by_its_cause(case):
    """Sizes are compared in the axes of images, however the model has them."""
    stored, wanted, layout, said = REFUSED[case]
    with pytest.raises(UnexaminableError, match=said):
        laid(stored, wanted, layout)


def test_axes_of_no_image_are_left_as_they_are():
    """A table's row, and what is nothing that is known."""
    assert channels_first((64,)) == (64,)
    assert channels_first((4, 5, 6, 7)) == (4, 5, 6, 7)
