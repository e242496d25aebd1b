"""Bounded JSON, canonical digests and regular files: nothing else becomes a record."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.records.evidence import Location, Measured, Measurement, Picture
from gate.records.record import MalformedError, parse_json, read_bounded

MEASUREMENT = b'{"metric":"size","value":1.5}'


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b'{"metric":"size","value":NaN}', "NaN is not a number"),
        (b'{"metric":"size","value":Infinity}', "Infinity is not a number"),
        (b'{"metric":"size","value":-Infinity}', "-Infinity is not a number"),
        (b'{"metric":"size","value":1e999}', "overflows"),
        (b'{"metric":"size","value":1,"value":2}', "duplicate key"),
        (b'{"metric":"size","location":{"kind":"class","kind":"file","name":"1"},"value":2}', "duplicate key"),
        (b"[" * 200_000, "not acceptable JSON"),
        (b'{"value":' + b"9" * 5000 + b"}", "not acceptable JSON"),
        (b"\xff\xfe\x00", "not acceptable JSON"),
        (b"", "not acceptable JSON"),
        (b"{} {}", "not acceptable JSON"),
        (b'{"metric":"size","value":1,"more":1}', "at 'more'"),
        (b'{"metric":"size"}', "at 'value'"),
        (b'{"metric":"No Metric","value":1}', "at 'metric'"),
        (b'{"metric":"size","value":"a"}', "at 'value'"),
        (b"[]", "Measurement: at ''"),
        (b" " * 101 + MEASUREMENT, "larger than 100 bytes"),
    ],
)
def test_what_is_no_record_is_malformed(raw, why):
    """Excess, ambiguity and numbers that compare with nothing are refused in one sentence."""
    with pytest.raises(MalformedError, match=why) as caught:
        Measurement.from_json(raw, limit=100 if raw.startswith(b" ") else 1 << 20)
    assert len(str(caught.value)) < 300


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=20))
def test_json_is_read_as_it_was_written(value):
    """What is well formed comes back unchanged."""
    assert parse_json(json.dumps(value).encode(), what="test") == value


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.none() | st.builds(Location, kind=st.sampled_from(["file", "class", "pair"]), name=st.text(max_size=50)),
    st.text(max_size=50),
)
def test_a_record_survives_its_own_json(value, location, note):
    """Canonical and pretty forms both read back as an equal record with the same digest."""
    record = Measurement(metric="size", value=value, location=location, note=note)
    for raw in (record.canonical_json(), record.pretty_json().encode()):
        again = Measurement.from_json(raw)
        assert again == record
        assert again.content_sha256 == record.content_sha256


def test_the_digest_does_not_depend_on_the_order_of_keys():
    """Two writers of one value agree on its name, and another value has another name."""
    one = Measured.from_json(b'{"seconds":1,"measurements":[],"options":{"a":1,"b":2}}')
    other = Measured.from_json(b'{"options":{"b":2,"a":1},"measurements":[],"seconds":1.0}')
    assert one.content_sha256 == other.content_sha256
    assert one.canonical_json() == (
        b'{"measurements":[],"options":{"a":1,"b":2},"sample_passes":0,"seconds":1.0,"status":"measured"}'
    )
    assert one.content_sha256 != Measured(measurements=(), seconds=2).content_sha256


def test_a_record_is_frozen_and_refuses_what_is_not_finite():
    """A value cannot be changed under its digest, and NaN never enters one."""
    record = Measurement(metric="size", value=1)
    with pytest.raises(ValueError, match="frozen"):
        record.value = 2
    with pytest.raises(ValueError, match="finite"):
        Measurement(metric="size", value=float("nan"))


def test_a_picture_holds_exactly_its_pixels():
    """Height, width and channels must be filled, or a reader of the report could be made to read beyond."""
    Picture(role="mask", height=1, width=2, channels=1, pixels="AAA=")
    for pixels in ("AAAA", "AA==", "not base64"):
        with pytest.raises(ValueError, match="pixels"):
            Picture(role="mask", height=1, width=2, channels=1, pixels=pixels)


@pytest.mark.parametrize(
    ("kind", "name", "index"),
    [("class", "7", 7), ("pair", "1→7", 7), ("class", "a", None), ("file", "7", None), ("pair", "1→", None)],
)
def test_a_location_tells_its_class(kind, name, index):
    """A class or the target of a pair has an index; files and other names have none."""
    assert Location(kind=kind, name=name).class_index == index


@pytest.mark.parametrize("name", ["²", "٣", "1→²"])
def test_a_name_that_only_looks_like_a_number_is_no_class(name):
    """Digits beyond ASCII come from a hostile worker alone, and raise nothing."""
    assert Location(kind="pair", name=name).class_index is None


def test_only_regular_files_are_read(tmp_path):
    """A link, a directory, a pipe and nothing at all are refused by name, as is a file beyond the limit."""
    (tmp_path / "file").write_bytes(MEASUREMENT)
    (tmp_path / "link").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    assert Measurement.from_file(tmp_path / "file").value == 1.5
    for name, kind in (
        ("link", "a symbolic link"),
        (".", "a directory"),
        ("pipe", "a special file"),
        ("no", "nothing"),
    ):
        with pytest.raises(MalformedError, match=f"expected a regular file, found {kind}"):
            read_bounded(tmp_path / name)
    with pytest.raises(MalformedError, match="larger than 10 bytes"):
        read_bounded(tmp_path / "file", limit=10)
