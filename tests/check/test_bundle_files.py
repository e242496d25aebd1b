"""Where a bundle goes on disk: moved whole or not at all, and what is wrong with its program is no bundle."""

from pathlib import Path

import pytest

from gate.check.bundle.compose import Bundle, put
from gate.check.files import CheckFiles
from gate.records.artifact import build_manifest, make_read_only
from gate.records.bundle import BundleFacts
from gate.records.errors import CannotFinishError

FACTS = BundleFacts(origin="pt2", parent=f"sha256:{64 * 'a'}", torch="2.13.0")


def bundle_in(folder, text="the program"):
    """Return a bundle of two files."""
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "data" / "model.pt2").write_text(text)
    make_read_only(folder)
    return Bundle(folder, build_manifest(folder)[0], FACTS)


@pytest.fixture
def files(tmp_path):
    """Return a check's directory with an earlier check's bundle in it."""
    files = CheckFiles.create(tmp_path / "out")
    put(bundle_in(tmp_path / "earlier" / "bundle", "an earlier program"), files, keep=False)
    return files


@pytest.mark.parametrize("keep", [False, True])
def test_a_bundle_takes_the_place_of_the_earlier_one(files, tmp_path, keep):
    """Its digest is the same where it lies then."""
    bundle = bundle_in(tmp_path / "new" / "bundle")
    put(bundle, files, keep=keep)
    assert build_manifest(files.root / "bundle")[0].digest == bundle.manifest.digest
    assert (tmp_path / "new" / "bundle").exists() == keep
    assert sorted(path.name for path in files.root.iterdir()) == ["bundle"]


@pytest.mark.parametrize("keep", [False, True])
def test_a_disk_that_is_full_leaves_no_part_of_a_bundle(files, tmp_path, keep, monkeypatch):
    """Neither under its name nor beside it; the same can be done again."""
    bundle = bundle_in(tmp_path / "new" / "bundle")
    rename, failed = Path.rename, []

    def full(path, target):
        if path.name == ".bundle.part" and not failed:
            failed.append(path)
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(CannotFinishError, match="bundle cannot be written: No space left"):
        put(bundle, files, keep=keep)
    assert [path.name for path in files.root.iterdir()] == []
    if keep:
        put(bundle, files, keep=keep)
        assert build_manifest(files.root / "bundle")[0].digest == bundle.manifest.digest
