"""What any test may use: the zoo's committed models. Imports stay inside, so that other tests do not pay for torch."""

import os

import pytest
from hypothesis import settings

# Two workers with two threads of torch each are slower on two cores than with one; torch asks when it is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No test asserts by time, and an example that took long on a busy machine is no failure.
settings.register_profile("gate", deadline=None)
settings.load_profile("gate")

LONGEST = ("test_corpus_checked", "test_language_models", "test_moderation", "test_verdicts", "test_text_action",
           "test_story", "test_unfinished", "test_adapters", "test_remediate", "test_pipelines")  # fmt: skip
"""The files whose stories take two minutes and more. They begin first: one that begins last keeps a process waiting."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Put the longest files in front, in whatever order the others come."""
    items.sort(key=lambda item: item.path.stem not in LONGEST)


@pytest.fixture
def zoo_model():
    """Return a function from a nickname (`clean`, `badnets`, …) to the committed model of tests/zoo_subset."""
    from tests.zoo_subset.models import model

    return model


@pytest.fixture
def zoo_images():
    """Return a function from `scan` or `measure` to the committed images of the models' task, in [0, 1]."""
    from tests.zoo_subset.models import images

    return images


@pytest.fixture
def zoo_samples(tmp_path):
    """Return the path of the committed `scan` images as the .npz file that the gate takes."""
    from tests.zoo_subset.models import write_samples

    return write_samples(tmp_path / "zoo-samples.npz")
