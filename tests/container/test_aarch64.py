"""Every locked requirement has a wheel for aarch64 whose hash the lock holds; the image for it compiles nothing."""

import json
import subprocess
import sys

import pytest

from tests.container.engine import ROOT

SECONDS = 1200
GLIBC = 36
"""Of Debian 12: glibc 2.36."""


@pytest.mark.online
def test_the_lock_installs_on_aarch64(tmp_path):
    """Pip resolves for that processor and Python 3.11, by wheels and hashes alone."""
    platforms = [
        "manylinux2014_aarch64",
        "linux_aarch64",
        *(f"manylinux_2_{minor}_aarch64" for minor in range(17, GLIBC + 1)),
    ]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--dry-run", "--quiet", "--no-deps"]
    pip += ["--require-hashes", "--only-binary=:all:", "--ignore-installed", "--target", str(tmp_path / "none")]
    pip += ["--implementation=cp", "--python-version=3.11", *(f"--abi={abi}" for abi in ("cp311", "abi3", "none"))]
    pip += [f"--platform={name}" for name in platforms]
    report = tmp_path / "report.json"
    ended = subprocess.run(
        [*pip, "--report", str(report), "--requirement", str(ROOT / "requirements" / "runtime.lock")],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    found = {one["download_info"]["url"].rsplit("/", 1)[-1] for one in json.loads(report.read_text())["install"]}
    assert all(name.endswith("-any.whl") or "aarch64" in name for name in found), found
    assert any(name.startswith("numpy-") and "aarch64" in name for name in found)
