import pytest
import torch

from tests.few.scanning import Bench


@pytest.fixture(scope="session")
def bench(tmp_path_factory):
    """Return a folder in which models of few classes are written and scanned."""
    torch.set_num_threads(1)
    return Bench(tmp_path_factory.mktemp("few"))
