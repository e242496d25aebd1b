"""Every case of the corpus against all four detectors on bytes."""

import pytest

from gate.artifact import Artifact, ModelRef, build_manifest
from gate.detector import Run
from gate.detectors import load
from gate.subject import Subject
from tests.corpus import cases

DETECTORS = ("artifact-integrity", "consumer-hazards", "unsafe-format", "unsafe-pickle")


def measured(root):
    """Return the sum of each metric of each detector over the folder."""
    artifact = Artifact(ModelRef(registry="directory", name=str(root)), root, build_manifest(root))
    totals: dict[tuple[str, str], float] = {}
    for name in DETECTORS:
        detector = load(name)
        for measurement in detector.measure(Subject(artifact), detector.options(), Run(seed=0)):
            key = name, measurement.metric
            totals[key] = totals.get(key, 0) + measurement.value
    return totals


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_what_must_be_found_is_found_and_nothing_is_run(case, tmp_path):
    """Hostile folders show their metrics, benign ones show none, and the payload's marker stays untouched."""
    root, marker = tmp_path / "model", tmp_path / "marker"
    root.mkdir()
    case.write(root, marker)
    totals = measured(root)
    assert [key for key in case.expected if not totals[key]] == []
    if not case.is_hostile:
        assert {key for key, total in totals.items() if total} == set(case.tolerated)
    assert not marker.exists()
    assert len(totals) == sum(len(load(name).metrics) for name in DETECTORS)


def test_case_names_are_unique():
    """A name points to one case, so that tables and tests can cite it."""
    names = [case.name for case in cases()]
    assert len(set(names)) == len(names)
