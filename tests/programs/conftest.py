import pytest
from exported_families import export, make, samples


@pytest.fixture(scope="session")
def good(tmp_path_factory):
    """Return a good archive with buffers, constants and a free batch size, its model, and a batch that fits."""
    model, shape = make("normalising")
    path = export(model, shape, tmp_path_factory.mktemp("good") / "model.pt2")
    return path, model, samples(shape, 3)


@pytest.fixture
def marker(tmp_path):
    """Return a path that must never come to exist."""
    return tmp_path / "marker"
