import pytest
import torch
from planted_digits import train


@pytest.fixture(scope="session")
def backdoored():
    """Return a small net with a patch backdoor towards class 7."""
    torch.set_num_threads(1)
    return train(planted=True)


@pytest.fixture(scope="session")
def twin():
    """Return its clean twin: the same seed, data and settings."""
    torch.set_num_threads(1)
    return train(planted=False)
