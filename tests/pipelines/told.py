"""What the detectors on bytes count against a folder, and by which it is not loaded."""

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
