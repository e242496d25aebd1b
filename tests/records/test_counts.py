"""Counts of cells come back as they were, and what is none is refused."""

import base64
import json
import zlib

import pytest

from gate.records.counts import Counts
from gate.records.record import MalformedError

CELLS = bytes(range(12))


def counts(**changes):
    """Return counts of two probes, two sources and three answers."""
    packed = base64.b64encode(zlib.compress(CELLS)).decode()
    return Counts(**{"probes": "a" * 64, "shape": (2, 2, 3), "samples": (11, 11), "packed": packed, **changes})


def test_cells_come_back():
    """Packed and unpacked they are the same bytes, through JSON too."""
    made = Counts.of("a" * 64, (2, 2, 3), (11, 11), CELLS)
    assert made.cells() == CELLS == Counts.from_json(made.canonical_json()).cells()


ODD = {
    "fewer cells": {"shape": (2, 2, 2)},
    "more cells": {"shape": (2, 2, 4)},
    "no cell": {"shape": (0, 2, 3)},
    "too many cells": {"shape": (1 << 20, 2, 1 << 20)},
    "a source without a number of samples": {"samples": (11,)},
    "more samples than a byte counts": {"samples": (11, 256)},
    "no base64": {"packed": "é"},
    "no zlib": {"packed": base64.b64encode(CELLS).decode()},
    "cut off": {"packed": base64.b64encode(zlib.compress(CELLS)[:-5]).decode()},
    "a bomb": {"packed": base64.b64encode(zlib.compress(bytes(1 << 24))).decode()},
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_no_count_is_refused(name):
    """Wrong numbers of cells and packed forms that are none; a large one is not unpacked whole."""
    with pytest.raises(ValueError, match=r"count|cell|source|packed|base64|ASCII"):
        counts(**ODD[name])
    with pytest.raises(MalformedError):
        Counts.from_json(json.dumps({**counts().model_dump(mode="json"), **ODD[name]}).encode())


def test_counts_of_other_probes_are_not_alike():
    """The same probes and the same numbers of samples; the cells may differ."""
    own = counts()
    assert own.alike(Counts.of("a" * 64, (2, 2, 3), (11, 11), bytes(12)))
    assert not own.alike(counts(probes="b" * 64))
    assert not own.alike(counts(samples=(11, 12)))
