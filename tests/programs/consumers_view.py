"""An archive as the inspector's detectors on bytes see it: what they would say of a deployer's loader."""

import shutil
import tempfile
from pathlib import Path

from tests.corpus.measuring import measure

SEEN_BY = (
    ("consumer-hazards", {"archive-hazards", "unreadable-files"}),
    ("artifact-integrity", {"damaged-archives", "mismatched-formats"}),
)


def lint_archive(path):
    """Return the notes of everything that is found in an archive as the only file of a model's data."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        shutil.copyfile(path, root / "model.pt2")
        found = [(item, metrics) for name, metrics in SEEN_BY for item in measure(root, name)]
    return tuple(item.note for item, metrics in found if item.metric in metrics and item.value)
