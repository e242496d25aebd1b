"""What the detectors on bytes count against a folder, and by which it is not loaded."""

import pytest

from gate.formats.huggingface.pipeline import read_pipeline
from gate.formats.source import UnreadableError
from tests.corpus.measuring import measure, notes

FORBIDDING = {
    "artifact-integrity": (
        "missing-files",
        "irregular-files",
        "odd-names",
        "unexpected-files",
        "mismatched-formats",
        "damaged-archives",
    ),
    "consumer-hazards": ("code-paths", "foreign-loaders", "foreign-requirements", "archive-hazards"),
    "unsafe-format": ("code-constructs", "external-references", "unreadable-files"),
    "unsafe-pickle": ("unsafe-globals", "unreadable-streams"),
}


def told(root):
    """Return all that the detectors on bytes count against a folder, as texts."""
    found = []
    for detector, metrics in FORBIDDING.items():
        measured = measure(root, detector)
        found += [f"{path}: {note}" for metric in metrics for path, note in notes(measured, metric).items()]
    return found


def require_told(draft, change, sentence, folder):
    """Require that a changed folder of a pipeline is told of in this sentence."""
    change(draft)
    found = told(draft.write(folder))
    assert any(sentence in one for one in found), found


def require_unread(draft, change, folder):
    """Require that the reader of pipelines refuses a changed folder."""
    change(draft)
    with pytest.raises(UnreadableError):
        read_pipeline(draft.write(folder))
