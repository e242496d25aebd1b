"""The wheel, built once, and a fresh environment with the gate from it alone."""

import sys
import time

import pytest

from tests.wheel.fresh import ROOT, Installed, copied, run


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """Build the wheel without asking an index, and return its path."""
    folder = tmp_path_factory.mktemp("wheel")
    source = copied(folder / "source")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
    run(*pip, "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder, source, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory):
    """Make a fresh environment: the lock's packages, torch, and the gate from the wheel."""
    folder = tmp_path_factory.mktemp("fresh")
    started = time.monotonic()
    run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    pip = [folder / "venv" / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    requirements = ROOT / "requirements"
    run(*pip, "--require-hashes", "-r", requirements / "runtime.lock", cwd=folder)
    run(*pip, "-r", requirements / "torch.txt", cwd=folder)
    # With its dependencies, of which the lock has left none to fetch: what the wheel's own metadata asks for is there.
    run(*pip, "--no-index", wheel, cwd=folder)
    return Installed(folder / "venv", time.monotonic() - started)
