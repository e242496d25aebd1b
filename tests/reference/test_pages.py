"""The generated pages of docs/reference say what the code says."""

from tests.reference.pages import REFERENCE, pages


def test_the_reference_is_up_to_date():
    """Every page is as `make reference` writes it, and no page of a detector that is gone is left."""
    written = pages()
    stale = [path.name for path, text in written.items() if not path.is_file() or path.read_text() != text]
    assert stale == [], f"run `make reference`: {stale}"
    assert set((REFERENCE / "detectors").glob("*.md")) <= written.keys()
