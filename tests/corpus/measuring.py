"""Measures a folder with one detector on bytes, for the tests beside this file."""

from gate.detectors import load
from gate.records.artifact import Artifact, ModelRef, build_manifest
from gate.records.run import Run
from gate.spaces.subject import Subject


def measure(root, detector_id, run=None, **options):
    """Return the measurements of the folder, as a list."""
    artifact = Artifact(ModelRef(registry="directory", name=str(root)), root, build_manifest(root)[0])
    return measure_artifact(artifact, detector_id, run, **options)


def measure_artifact(artifact, detector_id, run=None, **options):
    """Return the measurements of an artifact whose manifest is given."""
    detector = load(detector_id)
    chosen = detector.options(**options)
    return list(detector.measure(Subject(artifact), chosen, run or Run(seed=0)))


def total(measurements, metric):
    """Return the sum of a metric."""
    return sum(item.value for item in measurements if item.metric == metric)


def notes(measurements, metric):
    """Return the notes of a metric's located measurements by file."""
    return {item.location.name: item.note for item in measurements if item.metric == metric and item.location}
