"""Each kind of a gap between judged and served: at least three variants, each told in words that one can act on."""

from collections import Counter

import pytest

from tests.corpus import cases
from tests.corpus.measuring import measure
from tests.corpus.served import served_cases

KINDS = {"entry", "loader", "environment", "installer", "name"}
SAYS = ("MLflow writes", "MLflow does not write", "pytorch writes", "log the model again", "to the policy", "no text")
"""What was expected, or what to do: one of these stands in every finding."""


def test_every_kind_has_three_variants_and_more():
    """Those of the two kinds about archives stand in their own file."""
    counted = Counter(case.name.split("-")[1] for case in served_cases())
    assert set(counted) == KINDS
    assert min(counted.values()) >= 3
    others = Counter(case.name.split("-")[0] for case in cases())
    assert min(others["container"], others["compression"]) >= 3


@pytest.mark.parametrize("case", served_cases(), ids=lambda case: case.name)
def test_the_finding_says_what_is_there_and_what_was_expected(case, tmp_path):
    """File, key or line, and what MLflow writes there or what to do; nothing else is found in the folder."""
    root = tmp_path / "model"
    root.mkdir()
    case.write(root, tmp_path / "marker")
    found = {
        (name, item.metric): item.note
        for name in ("artifact-integrity", "consumer-hazards", "unsafe-format", "unsafe-pickle")
        for item in measure(root, name)
        if item.value and item.metric not in ("unpinned-requirements", "unjudged-files")
    }
    assert set(found) == set(case.expected)
    for (_, metric), note in found.items():
        assert metric == "odd-names" or any(words in note for words in SAYS), (metric, note)
