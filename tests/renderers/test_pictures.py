"""Pictures: what is encoded is what is decoded."""

import base64
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gate.records.evidence import Picture
from gate.renderers.pictures import SHOWN_SIDE, data_uri, encode_png, rows_of


def decode(png: bytes) -> Image.Image:
    """Return the picture as another library reads it."""
    return Image.open(io.BytesIO(png), formats=["PNG"])


@settings(max_examples=40)
@given(st.data())
def test_a_png_decodes_to_its_samples(data: st.DataObject) -> None:
    """Another library reads back the very samples, grey and in colour, of any size."""
    height, width, channels = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3])))
    rows = [data.draw(st.binary(min_size=width * channels, max_size=width * channels)) for _ in range(height)]
    image = decode(encode_png(rows, channels))
    assert (image.size, image.mode) == ((width, height), "L" if channels == 1 else "RGB")
    assert image.tobytes() == b"".join(rows)


@pytest.mark.parametrize(
    ("height", "width", "channels"), [(28, 28, 1), (32, 20, 3), (1, 1, 3), (256, 256, 1), (200, 3, 3)]
)
def test_small_pictures_are_enlarged_by_a_whole_factor(height: int, width: int, channels: int) -> None:
    """Every pixel becomes a square of the same size; large pictures stay as they are."""
    raw = bytes((7 * position) % 256 for position in range(height * width * channels))
    picture = Picture(role="mask", height=height, width=width, channels=channels, pixels=base64.b64encode(raw).decode())
    image = decode(base64.b64decode(data_uri(picture).removeprefix("data:image/png;base64,")))
    factor = image.width // width
    assert image.size == (width * factor, height * factor)
    assert factor == 1 or max(image.size) <= SHOWN_SIDE
    small = Image.frombytes("L" if channels == 1 else "RGB", (width, height), b"".join(rows_of(picture)))
    assert image.tobytes() == small.resize(image.size, Image.Resampling.NEAREST).tobytes()
