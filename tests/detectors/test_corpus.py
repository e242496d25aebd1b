"""Every case of the corpus against all four detectors on bytes."""

import pytest

from gate.detectors import load
from tests.corpus import cases
from tests.corpus.measuring import measure

DETECTORS = ("artifact-integrity", "consumer-hazards", "unsafe-format", "unsafe-pickle")


def measured(root):
    """Return the sum of each metric of each detector over the folder, and the notes of those above zero."""
    totals, notes = {}, {}
    for name in DETECTORS:
        told = {metric.id for metric in load(name).metrics if metric.worse == "neither"}
        for item in measure(root, name):
            key = name, item.metric
            totals[key] = totals.get(key, 0) + item.value
            if item.value and item.metric not in told:
                notes.setdefault(key, []).append(f"{item.location}: {item.note}")
    return totals, notes


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_what_must_be_found_is_found_and_nothing_is_run(case, tmp_path):
    """Hostile folders show their metrics, benign ones show none, and the payload's marker stays untouched."""
    root, marker = tmp_path / "model", tmp_path / "marker"
    root.mkdir()
    case.write(root, marker)
    totals, notes = measured(root)
    assert [key for key in case.expected if not totals[key]] == []
    if not case.is_hostile or case.tolerated:
        assert {key: note for key, note in notes.items() if key not in case.tolerated} == {}
    assert not marker.exists()
    assert len(totals) == sum(len(load(name).metrics) for name in DETECTORS)


def test_case_names_are_unique():
    """A name points to one case, so that tables and tests can cite it."""
    names = [case.name for case in cases()]
    assert len(set(names)) == len(names)
