"""What is built for an index: a wheel with everything that the gate reads, which runs where there is no checkout.

The environment of the slow test is fresh: the lock's packages, torch, and the gate from the wheel alone (`make
wheel-test`). What the quick tests look at is the archive.
"""

import json
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.wheel.fresh import ROOT, copied, run

SOURCE = ROOT / "gate"
CHECK_SECONDS = 1200


def carried(names, prefix=""):
    """Return the files of the package in an archive, relative to it."""
    inside = {name.removeprefix(prefix) for name in names if name.startswith(f"{prefix}gate/")}
    return {name for name in inside if not name.endswith("/")}


def kept():
    """Return the files of the package in the checkout, relative to it."""
    found = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "gate", cwd=ROOT).splitlines()
    return {name for name in found if (ROOT / name).is_file()}


def test_the_wheel_carries_every_file_of_the_package(wheel):
    """Code, policies, schema, templates and py.typed: what lies in gate/ is in the wheel, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert carried(names) == kept()
    assert {"gate/policies/default.yml", "gate/policies/files-only.yml", "gate/policies/schema.json"} <= set(names)
    assert {"gate/py.typed", "gate/service/templates/base.html.j2", "gate/renderers/templates/report.md.j2"} <= set(
        names
    )
    assert {name.split("/")[0] for name in names} - {"gate"} == {f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"}


def test_the_source_archive_carries_them_too(tmp_path):
    """Whoever builds from the sdist gets the same package."""
    source = copied(tmp_path / "source")
    code = "from setuptools import build_meta; import sys; print(build_meta.build_sdist(sys.argv[1]))"
    built = tmp_path / run(sys.executable, "-c", code, tmp_path, cwd=source).splitlines()[-1]
    with tarfile.open(built) as archive:
        names = [member.name for member in archive.getmembers() if member.isfile()]
    assert carried(names, f"{built.name.removesuffix('.tar.gz')}/") == kept()


@pytest.mark.slow
def test_a_fresh_environment_checks_a_model_by_the_default_policy(installed, tmp_path, zoo_model, zoo_samples):
    """Nothing but the wheel and what it needs: help, an explanation, a schema, and a clean model is approved."""
    desk = tmp_path / "empty"
    desk.mkdir()
    where = "import gate, gate.policies.packaged as p; print(gate.__file__); print(p.DEFAULT)"
    for place in map(Path, run(installed.program("python"), "-c", where, cwd=desk).split()):
        assert place.is_relative_to(installed.folder)
        assert place.is_file()
    gate = installed.program("gate")
    assert "gate check models:/credit/7" in run(gate, "--help", cwd=desk)
    assert "Neural Cleanse" in run(gate, "explain", "neural-cleanse", cwd=desk)
    assert run(gate, "schema", "policy", cwd=desk) == (SOURCE / "policies" / "schema.json").read_text("utf-8")

    model = zoo_model("clean").write_folder(tmp_path / "model")
    run(gate, "check", model, "--no-mark", "--samples", zoo_samples, cwd=desk, seconds=CHECK_SECONDS)
    report = json.loads((desk / "gate-report" / "report.json").read_text("utf-8"))
    assert report["verdict"]["decision"] == "approved"
    assert report["policy"]["name"] == "default"
    assert report["policy_source"]["path"] == ""
    assert report["evidence"]["isolation"].startswith("full")
    assert {path.name for path in desk.iterdir()} == {"gate-report"}
