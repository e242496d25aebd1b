"""The generated pages of docs/reference say what the code says."""

import difflib
from pathlib import Path

from tests.reference.pages import REFERENCE, pages


def test_the_reference_is_up_to_date():
    """Every page is as `make reference` writes it, and no page of a detector that is gone is left."""
    written = pages()
    stale = "\n".join(_difference(path, text) for path, text in written.items() if _stands(path) != text)
    assert not stale, f"run `make reference`:\n{stale}"
    assert set((REFERENCE / "detectors").glob("*.md")) <= written.keys()


def _stands(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _difference(path: Path, text: str) -> str:
    """Return what would change in a page, so that a failure elsewhere tells its cause."""
    lines = difflib.unified_diff(_stands(path).splitlines(), text.splitlines(), path.name, "as made", lineterm="")
    return "\n".join(lines)
