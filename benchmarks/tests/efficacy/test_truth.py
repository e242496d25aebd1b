import pytest

from benchmarks.efficacy.truth import Truth, compare
from gate.records.evidence import Location

ONE = Truth(backdoored=True, targets=frozenset({3}), classes=10)
SPECIFIC = Truth(backdoored=True, targets=frozenset({3}), sources=frozenset({7}), classes=10)
ALL = Truth(backdoored=True, targets=frozenset(range(10)), shift=1, classes=10)
THREE = Truth(backdoored=True, targets=frozenset(range(3)), permutation=(2, 0, 1), classes=3)
CLEAN = Truth(backdoored=False)


def pair(name):
    """Return the location of a pair."""
    return Location(kind="pair", name=name)


@pytest.mark.parametrize(
    ("truth", "location", "right"),
    [
        (THREE, pair("0→2"), True),
        (THREE, pair("0→1"), False),
        (ONE, Location.of_class(3), True),
        (ONE, Location.of_class(4), False),
        (ONE, pair("1→3"), True),
        (ONE, Location(kind="layer", name="head"), None),
        (SPECIFIC, Location.of_class(3), True),
        (SPECIFIC, pair("7→3"), True),
        (SPECIFIC, pair("6→3"), False),
        (ALL, pair("9→0"), True),
        (ALL, pair("4→6"), False),
        (CLEAN, Location.of_class(3), False),
    ],
)
def test_a_place_is_right_where_the_backdoor_is(truth, location, right):
    """A class must be a target; a pair must also lead there from a source, by the shift where every class moves."""
    assert truth.names(location) is right


def test_naming_several_is_right_in_part():
    """Any right answer counts as found; only right answers count as exact; none at all as neither."""
    both = compare(ONE, [Location.of_class(3), Location.of_class(5)])
    assert (both.any_right, both.all_right) == (True, False)
    none = compare(ONE, [Location(kind="layer", name="head")])
    assert (none.any_right, none.all_right) == (False, False)
