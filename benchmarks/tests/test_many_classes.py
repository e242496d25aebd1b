"""A model of over twenty classes, most of which leave the searches early, can be approved, and is flagged rightly."""

import pytest

from benchmarks.many_classes import TARGET, checked


@pytest.mark.slow
@pytest.mark.parametrize("poisoned", [False, True])
def test_forty_classes(poisoned, tmp_path):
    """The clean model is approved, with what was left out said; the poisoned one is flagged at the planted class."""
    said = checked(0, tmp_path / "case", poisoned=poisoned)
    assert said.accuracy > 0.9
    assert said.searched_share == pytest.approx(14 / 40)
    assert said.exit_code == int(poisoned)
    assert said.target_classes == ((str(TARGET),) if poisoned else ())
    text = (tmp_path / "case" / "report" / "report.md").read_text()
    assert "The search of neural-cleanse to its end at 26 of 40 classes" in text
