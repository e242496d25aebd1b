"""Two builds of one state, made in other folders, at other times, by other users, are the same bytes."""

import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from gate import VERSION
from release.sources import PARTS

ROOT = Path(__file__).parents[2]
EPOCH = 1_700_000_001
"""An odd second, which a zip cannot hold."""


@dataclass
class Built:
    """A checkout, and what was built of it."""

    folder: Path
    out: Path

    def one(self, pattern):
        """Return the one file of a kind."""
        (found,) = self.out.glob(pattern)
        return found


def checkout(to, when):
    """Make a repository of the release's files as they are now, at another time, and a file that git does not know."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--", *PARTS, "requirements"], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():  # one that was removed and not committed yet is no part of this state
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            (to / name).write_bytes((ROOT / name).read_bytes())
            os.utime(to / name, (when, when))
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", *command], cwd=to, check=True)
    (to / "gate" / "left_behind.py").write_text("raise SystemExit\n")
    return to


def built(folder, when, umask, **variables):
    """Build in a process with this time of the files, umask and variables."""
    root = checkout(folder, when)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SOURCE_DATE_EPOCH": str(EPOCH), **variables}
    ended = subprocess.run(
        [sys.executable, "-m", "release", "--to", "out", "--allow-changes", *(["--no-bom"] if umask else [])],
        cwd=root,
        env=environment,
        umask=umask,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return Built(root, root / "out")


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Build twice."""
    first = built(tmp_path_factory.mktemp("a"), 1_600_000_000, 0)
    there = tmp_path_factory.mktemp("b") / "a folder with a longer name and spaces"
    other = {"TZ": "Asia/Tokyo", "LANG": "C", "PYTHONHASHSEED": "7", "LOGNAME": "else", "USER": "else"}
    return first, built(there, 1_111_111_111, 0o077, **other)


def test_sdist_and_wheel_are_the_same_bytes(two):
    """And SHA256SUMS says so of each."""
    first, second = two
    for pattern in ("*.tar.gz", "*.whl"):
        one, other = first.one(pattern), second.one(pattern)
        assert one.name == other.name
        assert one.read_bytes() == other.read_bytes()
        line = f"{hashlib.sha256(one.read_bytes()).hexdigest()}  {one.name}\n"
        for made in two:
            assert line in (made.out / "SHA256SUMS").read_text()


def test_they_hold_what_git_knows_and_nothing_else(two):
    """No file that lay there by chance, and every one of the package."""
    known = {name for name in Path(two[0].folder).rglob("*") if name.is_file()}
    package = {str(one.relative_to(two[0].folder)) for one in known if one.is_relative_to(two[0].folder / "gate")}
    package -= {"gate/left_behind.py"}
    with zipfile.ZipFile(two[0].one("*.whl")) as wheel:
        assert {name for name in wheel.namelist() if name.startswith("gate/")} == package
    with tarfile.open(two[0].one("*.tar.gz")) as sdist:
        inside = {one.name.partition("/")[2] for one in sdist if one.isfile()}
    assert package | {"LICENSE", "README.md", "pyproject.toml", "PKG-INFO"} <= inside
    assert not any("left_behind" in name for name in inside)


def test_nothing_tells_where_when_or_by_whom_they_were_built(two):
    """One time, no owner, two modes, and no path of the machine in any file."""
    with tarfile.open(two[0].one("*.tar.gz")) as sdist:
        members = sdist.getmembers()
        texts = [sdist.extractfile(one).read() for one in members if one.isfile()]
    assert {one.mtime for one in members} == {EPOCH}
    assert {(one.uid, one.gid, one.uname, one.gname) for one in members} == {(0, 0, "", "")}
    assert {one.mode for one in members} <= {0o644, 0o755}
    with zipfile.ZipFile(two[0].one("*.whl")) as wheel:
        infos = wheel.infolist()
        texts += [wheel.read(one) for one in infos]
    assert {one.date_time for one in infos} == {(2023, 11, 14, 22, 13, 20)}
    assert {one.external_attr >> 16 for one in infos} <= {0o100644, 0o100755}
    places = [str(two[0].folder).encode(), str(ROOT).encode(), b"gate-release-"]
    assert not [place for place in places for text in texts if place in text]


def test_the_bill_of_materials_lists_what_the_lock_installs(two):
    """With the hashes that it allows, and torch, which stands beside it."""
    bom = json.loads(two[0].one("*.cdx.json").read_text())
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.6")
    assert bom["metadata"]["component"]["version"] == VERSION
    lock = (ROOT / "requirements" / "runtime.lock").read_text() + (ROOT / "requirements" / "torch.txt").read_text()
    pinned = set(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", lock, flags=re.MULTILINE))
    assert {(one["name"], one["version"]) for one in bom["components"]} == pinned
    without = {
        one["name"] for one in bom["components"] if not any("hashes" in place for place in one["externalReferences"])
    }
    assert without == {"torch"}
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bom)) is None


def run(root, *arguments, **variables):
    """Run the command in a folder and return how it ended."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, "-m", "release", "--to", "out", "--no-bom", *arguments]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


def test_what_is_not_committed_is_no_release(two):
    """The files are named, and nothing is built."""
    ended = run(two[1].folder)
    assert ended.returncode == 1
    assert "what would be released is not committed" in ended.stderr


@pytest.mark.parametrize("said", ["yesterday", "-5", "1"])
def test_a_time_that_is_none_is_refused(two, said):
    """In a sentence."""
    ended = run(two[1].folder, "--allow-changes", SOURCE_DATE_EPOCH=said)
    assert ended.returncode == 1
    assert re.search(r"expected whole seconds since 1970|holds none before", ended.stderr)


def test_a_link_among_the_files_is_refused(tmp_path):
    """It could bring anything that lies elsewhere."""
    root = checkout(tmp_path, 1_600_000_000)
    (root / "gate" / "linked.py").symlink_to("/etc/hostname")
    subprocess.run(["git", "add", "gate/linked.py"], cwd=root, check=True)
    ended = run(root, "--allow-changes", SOURCE_DATE_EPOCH=str(EPOCH))
    assert (ended.returncode, "plain files alone" in ended.stderr) == (1, True)
