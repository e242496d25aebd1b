"""MLflow's own imports warn, and its clients write where they are started."""

import pytest


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Start every test in a folder of its own."""
    monkeypatch.chdir(tmp_path)
