"""Where pickles are found and where none are: numbers, bombs, bounds, deadlines."""

import gzip
import random
import zipfile

import pytest

from gate.formats.pickle_search import Blocked, FoundPickle, find_pickles
from gate.formats.pickles import walk_pickle
from gate.formats.pt2 import pt2_hazards
from gate.formats.source import Bounds, ByteStream, Source
from gate.formats.zips import read_zip
from tests.corpus import consumers, pickles, zipping

BOUNDS = Bounds(max_opcodes=20_000, max_inflated_bytes=1 << 20, max_members=1000)
MARKER = pickles.Path("/nonexistent/marker")


def test_random_numbers_are_not_taken_for_pickles():
    """Raw tensors, some of which begin like a pickle or like compressed data, raise no alarm."""
    rng = random.Random(0)
    heads = (
        b"",
        b"\x80\x02",
        b"\x80\x04",
        b"\x80\x05\x95",
        b"x\x9c",
        b"x\x01",
        b"(",
        b"c",
        b"\x93NUMPY",
        b"BZh91AY&SY",
    )
    for index in range(3000):
        raw = rng.choice(heads) + rng.randbytes(200)
        member = zipping.zipped({"model/data/0": raw}) if index % 50 == 0 else None
        if member is not None:
            assert list(find_pickles(Source.of(member), "model.pt", BOUNDS)) == []
        found = list(find_pickles(Source.of(raw), "weights.dat", BOUNDS))
        assert not [item for item in found if isinstance(item, FoundPickle)]


@pytest.mark.parametrize("raw", [b"}\x84H>`\x9aR\xbd", b"\x8f\x84\x99\xbd\x8d\\R<", b"\x80\x02)\x82\x01R."])
def test_numbers_that_spell_computed_names_are_not_taken_for_pickles(raw):
    """Weights whose bytes happen to be opcodes of the extension registry and of a call raise no alarm."""
    assert list(find_pickles(Source.of(raw), "model.pt!model/data/0", BOUNDS)) == []


def test_a_bomb_stops_at_the_bound():
    """Compressed data are unpacked up to the bound and then reported, not unpacked to their end."""
    bomb = gzip.compress(bytes(8 << 20))
    found = list(find_pickles(Source.of(bomb), "x.joblib", BOUNDS))
    assert [type(item) for item in found] != []
    deflated = zipping.zipped({"m/data.pkl": bytes(8 << 20)}, zipfile.ZIP_DEFLATED)
    found = list(find_pickles(Source.of(deflated), "x.pt", BOUNDS))
    assert [type(item) for item in found] == [Blocked]


def test_too_many_opcodes_are_a_fault():
    """A stream longer than the bound is not read on and not believed."""
    walk = walk_pickle(ByteStream(iter([b"\x80\x02" + b"N0" * 50_000 + b"N."])), BOUNDS)
    assert "opcodes" in walk.fault


def test_archives_inside_each_other_end_at_the_bound():
    """A chain of zips deeper than the bound is reported."""
    raw = pickles.touch(MARKER)
    for _ in range(6):
        raw = zipping.zipped({"m/inner.dat": raw})
    found = list(find_pickles(Source.of(raw), "m.pt", BOUNDS))
    assert [item.why for item in found if isinstance(item, Blocked)] == ["more than 4 archives inside each other"]


def test_the_walk_stops_when_time_is_up():
    """The bounds' tick may raise, and its error is not swallowed as a fault of the stream."""

    def late():
        raise TimeoutError

    bounds = Bounds(tick=late)
    with pytest.raises(TimeoutError):
        walk_pickle(ByteStream(iter([b"\x80\x02" + b"N0" * 5000 + b"N."])), bounds)


def test_exported_programs_of_torch_pass_the_grammars():
    """Names, sizes and guards as torch writes them for dynamic shapes are within the closed grammars."""
    source = Source.of(consumers.exported())
    assert list(pt2_hazards(source, read_zip(source, BOUNDS), BOUNDS)) == []
