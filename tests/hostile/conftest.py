"""Shared by the tests of hostile candidates: folders through the real pipeline, with real jailed workers."""

import numpy as np
import pytest
from forging import POLICY, policy

from gate.check.check import CheckRequest, check
from gate.check.evidence import ScanSettings
from gate.check.rules import Rules
from gate.registries.directory import DirectoryRegistry
from tests.stand_ins.workers_here import workers_here


@pytest.fixture(scope="session")
def samples(tmp_path_factory):
    """Return clean samples for the small networks of the corpus: 20 images (1, 8, 8) of ten classes."""
    path = tmp_path_factory.mktemp("samples") / "samples.npz"
    inputs = np.random.default_rng(0).random((20, 1, 8, 8), dtype=np.float32)
    np.savez(path, inputs=inputs, labels=np.arange(20) % 10)
    return path


@pytest.fixture
def checked_here(checked):
    """Return the same function with workers in this process, for models of which nothing is loaded."""
    with workers_here():
        yield checked


@pytest.fixture
def checked(tmp_path, samples):
    """Return the function that checks a model folder as `gate check DIR --no-mark` does, and gives the report."""

    def run(root, without="", **settings):
        request = CheckRequest(
            uri=str(root),
            rules=Rules(policy(without), POLICY, samples=str(samples)),
            settings=ScanSettings(device="cpu", threads=1, deadline_seconds=120, **settings),
            report_dir=tmp_path / "report",
            mark=False,
        )
        return check(DirectoryRegistry(), request, lambda *_: None, lambda _: None).report

    return run
