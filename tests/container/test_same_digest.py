"""The image of a release, built for real and twice by buildah (`make image-test`, some 20 minutes)."""

import json
import os
import shutil
import subprocess
import sys
import tarfile

import pytest

from gate import VERSION
from tests.container.engine import BUILD_SECONDS, ROOT
from tests.container.recipe import committed

pytestmark = pytest.mark.container
BASE = os.environ.get("BASE", "debian:bookworm-slim")


TINY = 'FROM scratch\nCOPY gate/main.py /main\nUSER 7:7\nHEALTHCHECK CMD ["/main"]\nENTRYPOINT ["/main"]\n'


def build(to, **changes):
    """Build the commit's image into a folder and return the digest that is printed."""
    umask = changes.pop("umask", 0o022)
    environment = os.environ | {"PYTHON": sys.executable, "BASE": BASE} | changes
    command = [str(ROOT / "docker" / "image.sh"), "build", str(to)]
    ended = subprocess.run(
        command, env=environment, umask=umask, stdout=subprocess.PIPE, text=True, check=True, timeout=BUILD_SECONDS
    )
    return ended.stdout.strip()


def need_buildah():
    """Skip where there is none."""
    if shutil.which("buildah") is None:
        pytest.skip("NOT RUN: there is no buildah here")


def test_a_list_for_two_processors_has_one_digest(tmp_path):
    """Of a recipe that runs nothing, so that no processor is emulated: twice built, twice joined, the same bytes."""
    need_buildah()
    source = committed(tmp_path / "source", 1_700_000_000, TINY)

    def script(*words, **variables):
        command = [str(source / "docker" / "image.sh"), *map(str, words)]
        environment = os.environ | {"PYTHON": sys.executable} | variables
        return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()

    digests = set()
    for time in ("first", "again"):
        parts = {name: tmp_path / f"{name}-{time}" for name in ("amd64", "arm64")}
        single = {name: script("build", folder, PLATFORM=f"linux/{name}") for name, folder in parts.items()}
        digests.add(script("join", tmp_path / time, *parts.values()))
        listed = json.loads((tmp_path / time / "manifest.json").read_text())["manifests"]
        assert {one["platform"]["architecture"]: one["digest"] for one in listed} == single
    assert len(digests) == 1


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build once and return the folder and its digest."""
    need_buildah()
    folder = tmp_path_factory.mktemp("image")
    return folder / "first", build(folder / "first")


def test_a_second_build_has_the_same_digest(built, tmp_path):
    """By a user with another umask, in another time zone and locale."""
    assert build(tmp_path / "again", umask=0o077, TZ="Asia/Tokyo", LC_ALL="C") == built[1]


def test_the_image_says_what_it_is_and_holds_one_time(built):
    """User, health check, version and base stand in its configuration; its own layer's files have the commit's time."""
    folder, _ = built
    manifest = json.loads((folder / "manifest.json").read_text())
    described = json.loads((folder / manifest["config"]["digest"].removeprefix("sha256:")).read_text())
    configured = described["config"]
    labels = {name.rsplit(".", 1)[-1]: value for name, value in configured["Labels"].items()}
    assert (configured["User"], configured["Entrypoint"]) == ("65532:65532", ["gate"])
    assert configured["Healthcheck"]["Test"][-1] == "/opt/gate/health.py"
    assert (labels["version"], labels["name"]) == (VERSION, BASE)
    git = ["git", "log", "-1", "--format=%ct"]
    time = int(subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    with tarfile.open(folder / manifest["layers"][-1]["digest"].removeprefix("sha256:")) as layer:
        times = {member.mtime for member in layer}
    assert times == {time}
