"""The image of a release: what buildah is asked for, with a stand-in for it."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.container.recipe import committed

EPOCH = 1_700_000_000
BUILDAH = """#!{python}
import hashlib, json, os, pathlib, sys
verb, last = sys.argv[1], pathlib.Path(sys.argv[-1])
call = {{"words": sys.argv[1:], "variables": dict(os.environ)}}
if verb == "build":
    files = [path for path in last.rglob("*") if path.is_file()]
    call["files"] = {{str(path.relative_to(last)): oct(path.stat().st_mode & 0o777) for path in files}}
    call["text"] = (last / "gate" / "main.py").read_text()
    pathlib.Path(sys.argv[sys.argv.index("--iidfile") + 1]).write_text("sha256:0")
if (verb, sys.argv[2]) == ("manifest", "push") or verb == "push":
    to = pathlib.Path(sys.argv[-1].removeprefix("dir:"))
    to.mkdir()
    config = {{"container": os.urandom(9).hex(), "config": {{"Hostname": os.urandom(9).hex(), "User": "7"}}}}
    config["container_config"] = config["config"]
    text = json.dumps(config)
    (to / hashlib.sha256(text.encode()).hexdigest()).write_text(text)
    image = {{"config": {{"digest": "sha256:" + hashlib.sha256(text.encode()).hexdigest(), "size": len(text)}}}}
    (to / "manifest.json").write_text(os.environ.get("LISTED", json.dumps(image)))
with open({log!r}, "a") as log:
    log.write(json.dumps(call) + "\\n")
sys.exit({code} if verb == {failing!r} else 0)
"""


@dataclass
class Checkout:
    """A repository of the recipe with a commit of a known time, and a stand-in for buildah."""

    folder: Path

    def run(self, *words, failing="", umask=0o022, **variables):
        """Run the script; `failing` names buildah's verb that ends with an error."""
        log, program = self.folder / "calls", self.folder / "bin" / "buildah"
        log.write_text("")
        program.write_text(BUILDAH.format(python=sys.executable, log=str(log), code=1, failing=failing))
        program.chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
        given = {"PATH": f"{program.parent}:{os.environ['PATH']}", "TMPDIR": str(self.folder), "PYTHON": sys.executable}
        return subprocess.run(
            ["/bin/bash", str(self.folder / "source" / "docker" / "image.sh"), *map(str, words)],
            cwd=self.folder,
            env=kept | given | {"PIP_CONFIG_FILE": os.devnull} | variables,
            umask=umask,
            capture_output=True,
            text=True,
            check=False,
        )

    def calls(self):
        """Return what buildah was called with and saw."""
        return [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]


@pytest.fixture
def checkout(tmp_path):
    """Commit the recipe with a program of one line, then change what the commit does not know."""
    (tmp_path / "bin").mkdir()
    source = committed(tmp_path / "source", EPOCH)
    (source / "gate" / "left_behind.py").write_text("left")
    (source / "gate" / "main.py").write_text("changed")
    return Checkout(tmp_path)


def value(call, flag):
    """Return what follows a flag."""
    return call["words"][call["words"].index(flag) + 1]


def test_the_commit_alone_is_built_at_its_own_time(checkout):
    """Neither changed nor forgotten files, nor the umask, reach the build; no layer is taken from an earlier one."""
    ended = checkout.run("build", checkout.folder / "out", umask=0o077)
    assert ended.returncode == 0, ended.stderr
    build = checkout.calls()[0]
    assert (build["words"][0], build["text"]) == ("build", "committed")
    assert "gate/left_behind.py" not in build["files"]
    assert {build["files"][name] for name in ("gate/main.py", "docker/Dockerfile")} == {"0o644"}
    assert build["files"]["docker/image.sh"] == "0o755"
    assert value(build, "--timestamp") == str(EPOCH)
    assert {"--no-cache", "--layers=false"} <= set(build["words"])
    manifest = (checkout.folder / "out" / "manifest.json").read_bytes()
    assert ended.stdout == f"sha256:{hashlib.sha256(manifest).hexdigest()}\n"


def test_no_name_of_the_builds_own_container_is_left(checkout):
    """Two builds whose containers had other names have one digest, and what the manifest says of its blob is so."""
    digests = {checkout.run("build", checkout.folder / name).stdout for name in ("first", "second")}
    assert len(digests) == 1
    first = checkout.folder / "first"
    told = json.loads((first / "manifest.json").read_text())["config"]
    assert {path.name for path in first.iterdir()} == {"manifest.json", told["digest"].removeprefix("sha256:")}
    text = (first / told["digest"].removeprefix("sha256:")).read_bytes()
    assert (hashlib.sha256(text).hexdigest(), len(text)) == (told["digest"].removeprefix("sha256:"), told["size"])
    assert json.loads(text) == {"config": {"User": "7"}}


def test_time_platform_and_base_can_be_given(checkout):
    """Arguments go by name; the commit is told to the recipe."""
    given = {"SOURCE_DATE_EPOCH": "7", "PLATFORM": "linux/arm64", "BASE": "registry.example/debian@sha256:0"}
    assert checkout.run("build", checkout.folder / "out", **given).returncode == 0
    build = checkout.calls()[0]
    assert (value(build, "--timestamp"), value(build, "--platform")) == ("7", "linux/arm64")
    assert {"BASE", "TORCH", "REVISION"} <= set(build["words"])
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=checkout.folder / "source", capture_output=True, text=True, check=True
    )
    assert build["variables"]["REVISION"] == head.stdout.strip()
    assert not any("registry.example" in word for word in build["words"])


@pytest.mark.parametrize("failing", ["build", "push"])
def test_a_build_that_fails_leaves_no_digest(checkout, failing):
    """Neither a digest on standard output nor a temporary folder."""
    ended = checkout.run("build", checkout.folder / "out", failing=failing)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert not list(checkout.folder.glob("gate-image.*"))


def test_a_folder_that_is_there_is_not_written_to(checkout):
    """What an earlier build left, whole or not, is not mixed with this one."""
    (checkout.folder / "out").mkdir()
    ended = checkout.run("build", checkout.folder / "out")
    assert (ended.returncode, ended.stdout, checkout.calls()) == (1, "", [])
    assert "is there already" in ended.stderr


def listed(*processors):
    """Return a list of images as a registry holds it."""
    return json.dumps({"manifests": [{"platform": {"architecture": name, "os": "linux"}} for name in processors]})


def test_the_list_holds_each_image_once(checkout):
    """The images go in by their folders, in the order given."""
    ended = checkout.run("join", "list", "a", "b", LISTED=listed("amd64", "arm64"))
    assert ended.returncode == 0, ended.stderr
    words = [call["words"] for call in checkout.calls()]
    assert [one[-1] for one in words if one[:2] == ["manifest", "add"]] == ["dir:a", "dir:b"]
    assert ended.stdout.startswith("sha256:")


def test_two_images_for_one_processor_are_no_list(checkout):
    """The same folder twice would leave a processor out without a word."""
    ended = checkout.run("join", "list", "a", "a", LISTED=listed("amd64", "amd64"))
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "amd64 twice" in ended.stderr


@pytest.mark.parametrize(
    "words", [(), ("build",), ("join", "list"), ("join", "list", "a"), ("push", "x"), ("build", "a", "b")]
)
def test_anything_else_is_usage(checkout, words):
    """Exit 2, with what there is to ask for; nothing is built."""
    ended = checkout.run(*words)
    assert (ended.returncode, ended.stdout, checkout.calls()) == (2, "", [])
    assert "docker/image.sh build DIR" in ended.stderr
