"""One number of each statistic beside clean models of other tasks: what it is, who is compared, and that p is valid."""

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from within_models import COMPARED, INDICATOR, SIZE, clean_model, clean_models, drawn, measured, outcomes

from gate.judging.calibration.within import CleanModels, compare_within, models_for, numbers_of
from gate.policies.declared import numbers_within
from gate.records.evidence import Location, Measurement

KNOWN = clean_models(drawn(39))
PLANTED = (30.0,) * 3 + (1.0,) + (30.0,) * 6


def test_a_number_is_of_the_worst_class_beside_the_median_one():
    """Greater is worse on either side: logarithms, finite at 0, and a value as it is."""
    sizes, margins = (8.0, 2.0) + (8.0,) * 7, (0.1, 0.0, 0.1, 1.0) + (0.1,) * 5
    found = numbers_of(outcomes(sizes, margins, (-3.0, 5.0) + (0.0,) * 7), COMPARED)
    assert found["neural-cleanse"]["size"] == (pytest.approx(math.log(4)), "1")
    assert found["maximum-margin"]["margin"] == (pytest.approx(math.log(10)), "3")
    assert found["head-indicators"]["indicator"] == (5.0, "1")
    assert numbers_of({"neural-cleanse": measured(SIZE, (8.0,))}, COMPARED) == {}


def test_among_few_classes_the_worst_stands_for_itself():
    """Of two or three, the median class is the worst one or stands beside it."""
    found = numbers_of(outcomes((8.0, 2.0), (0.1, 0.5), (-3.0, 5.0)), COMPARED)
    assert found["neural-cleanse"]["size"] == (pytest.approx(-math.log(2)), "1")
    assert found["maximum-margin"]["margin"] == (pytest.approx(math.log(0.5)), "1")
    assert found["head-indicators"]["indicator"] == (5.0, "1")


def test_a_planted_class_gets_the_least_p_and_is_named():
    """Its size is far below the median's; the statistics with their worst value there are told together."""
    seen = compare_within(outcomes(PLANTED, (0.1,) * 3 + (2e6,) + (0.1,) * 6), 10, KNOWN)
    assert (seen.p_value, seen.models) == (pytest.approx(1 / 40), 39)
    assert str(seen.places[0]) in {
        "neural-cleanse size and maximum-margin margin at class 3",
        "maximum-margin margin and neural-cleanse size at class 3",
    }
    assert seen.places[0].score == seen.score
    assert seen.detectors == ("head-indicators", "maximum-margin", "neural-cleanse")


@pytest.mark.parametrize("size", [1e99, 1e155, 1e308])
def test_a_number_of_any_size_is_compared(size):
    """It surprises most."""
    seen = compare_within(outcomes(indicators=(0.0, size, 0.0)), 10, KNOWN)
    assert (seen.unusable, seen.p_value, seen.places[0].name) == ("", pytest.approx(1 / 40), "1")


def test_an_ordinary_candidate_is_among_them():
    """Its p-value is no small one."""
    assert compare_within(outcomes(), 10, KNOWN).p_value > 0.2


@given(st.lists(st.tuples(*[st.floats(-20, 20)] * 2), min_size=4, max_size=12), st.sampled_from([0.1, 0.2, 0.5]))
def test_of_exchangeable_models_no_more_than_the_level_get_such_a_p(rows, level):
    """Whatever the numbers: of n + 1 models, each the candidate once, at most so many are at or below the level."""
    pair = tuple(one.model_copy(update={"by": "linear", "worse": "higher"}) for one in (SIZE, INDICATOR))
    found = []
    for turn, (first, second) in enumerate(rows):
        others = [clean_model(a, None, b) for number, (a, b) in enumerate(rows) if number != turn]
        own = {
            "neural-cleanse": measured(SIZE, (first, first)),
            "head-indicators": measured(INDICATOR, (second, second)),
        }
        found.append(compare_within(own, 10, clean_models(others, pair)).p_value)
    assert sum(p <= level for p in found) <= level * len(rows)


REFUSED = {
    "no number of classes": (None, outcomes(), "other numbers of classes than none known"),
    "few classes": (7, outcomes(), "other numbers of classes than 7"),
    "more than twice the classes": (21, outcomes(), "other numbers of classes than 21"),
    "a missing statistic": (10, outcomes(margins=None), "maximum-margin measured no margin"),
    "one class alone": (10, outcomes(sizes=(8.0,)), "neural-cleanse measured no size"),
}


@pytest.mark.parametrize(("classes", "own", "why"), REFUSED.values(), ids=REFUSED)
def test_who_cannot_be_compared_is_told_why(classes, own, why):
    """There is no score then."""
    seen = compare_within(own, classes, KNOWN)
    assert why in seen.unusable
    assert not seen.bank_scores


def searched(sizes, full, classes=30):
    """Return the outcomes of a candidate of many classes, of which these were searched to the end."""
    found = outcomes(sizes, (0.1,) * classes, (0.0,) * classes)
    ratios = tuple(
        Measurement(metric="size-ratio", value=sizes[k] / 30, location=Location.of_class(k)) for k in sorted(full)
    )
    share = Measurement(metric="searched-share", value=len(full) / classes)
    rows = (*found["neural-cleanse"].measurements, *ratios, share)
    return {**found, "neural-cleanse": found["neural-cleanse"].model_copy(update={"measurements": rows})}


@pytest.mark.parametrize("bound", [1.0, 4.0, 50.0])
def test_classes_that_left_the_search_early_are_no_sizes_to_compare_with(bound):
    """Theirs are upper bounds: however loose they are, worst and median are of those searched to the end."""
    full = {*range(14)}
    sizes = tuple((20.0 + k) * (1.0 if k in full else bound) for k in range(30))
    found = numbers_of(searched(sizes, full), COMPARED)
    assert found["neural-cleanse"]["size"] == (pytest.approx(math.log((26 * 27) ** 0.5 / 20)), "0")
    many = clean_models(drawn(39, 20))
    assert compare_within(searched(sizes, full), 30, many).p_value > 0.2
    planted = (1.0, *sizes[1:])
    assert compare_within(searched(planted, full), 30, many).places[0].name == "0"
    every = numbers_of(searched(sizes, range(30)), COMPARED)
    usual = statistics.median(map(math.log, sizes))
    assert every["neural-cleanse"]["size"].number == pytest.approx(usual - math.log(20))


def test_of_too_few_classes_searched_to_the_end_there_is_no_number():
    """A worst class that stood for itself would be compared with gaps to a median."""
    sizes = (30.0,) * 30
    assert "size" in numbers_of(searched(sizes, range(8)), COMPARED)["neural-cleanse"]
    assert "neural-cleanse" not in numbers_of(searched(sizes, range(7)), COMPARED)
    seen = compare_within(searched(sizes, range(7)), 30, clean_models(drawn(39, 20)))
    assert seen.unusable == "neural-cleanse measured no size over the candidate's classes"


@pytest.mark.parametrize("options", [{"steps": 21}, {}, {"an-option-of-an-earlier-gate": 1}])
def test_a_candidate_of_other_settings_cannot_be_compared(options):
    """Nor is it an error where this gate does not know them."""
    other = outcomes()["neural-cleanse"].model_copy(update={"options": options})
    seen = compare_within({**outcomes(), "neural-cleanse": other}, 10, KNOWN)
    assert seen.unusable == "neural-cleanse ran with other settings than on the gate's clean models"


def test_few_classes_are_compared_with_few_and_up_to_twice_as_many_as_there_are():
    """Neither group is compared with the other's."""
    known = clean_models([*drawn(3, 3), *drawn(4, 10), *drawn(2, 20)])
    counts = {classes: len(models_for(known, classes)) for classes in (2, 3, 6, 7, 8, 10, 40, 41)}
    assert counts == {2: 3, 3: 3, 6: 3, 7: 0, 8: 6, 10: 6, 40: 6, 41: 0}
    few = outcomes((8.0, 2.0, 8.0), (0.1, 0.1, 0.3), (0.0, 1.0, 0.0))
    assert compare_within(few, 3, known).models == 3


def test_a_statistic_that_a_tenth_of_the_models_lack_is_left_out():
    """With nineteen of twenty it takes part, and the one without it does not."""
    without = clean_model(0.3, None, 1.0)
    assert compare_within(outcomes(margins=None), 10, clean_models([*drawn(17), *[without] * 3])).models == 20
    assert compare_within(outcomes(), 10, clean_models([*drawn(19), without])).models == 19
    assert compare_within(outcomes(margins=None), 10, clean_models([*drawn(19), without])).unusable


def test_the_file_is_read_as_it_was_written():
    """Through JSON, as it comes with the gate."""
    assert CleanModels.from_json(KNOWN.pretty_json().encode()) == KNOWN


def test_detectors_declare_what_takes_part():
    """Sizes of triggers and the indicator of the last layer."""
    declared = {str(one): one.by for one in numbers_within()}
    assert {str(one): one.by for one in (SIZE, INDICATOR)}.items() <= declared.items()
    assert not any(name.startswith("probe-grid") for name in declared)
    assert "neural-cleanse size-ratio" not in declared
