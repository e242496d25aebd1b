"""`gate verify --to`: what is served is the copy that was hashed, and an init container may be started again."""

import datetime as dt
import stat

import pytest
from click.testing import CliRunner

from gate.attestations.envelope import sign
from gate.attestations.keys import generate_key
from gate.cli.main import main
from gate.promotion import delivery
from gate.promotion.delivery import MARK, deliver
from gate.promotion.verification import Trust, now, verify_version
from gate.records.artifact import build_manifest
from gate.records.errors import CannotFinishError, UsageError
from tests.attestations.signed import digest, statement
from tests.service.standing_registry import FolderRegistry

POLICY = digest("b")


class Site:
    """A version with a signed approval, and a folder to copy it to."""

    def __init__(self, folder):
        self.registry = FolderRegistry(folder / "registry")
        self.ref = self.registry.add("cand", 1, "weights")
        self.key = generate_key(folder / "k.pem", folder / "k.pub.pem")
        self.model = self.registry.root / "cand" / "1" / "model"
        self.to = folder / "models"
        self.approve(build_manifest(self.model)[0].digest)

    def approve(self, of):
        """Sign an approval of some bytes."""
        times = {"decided_at": now(), "expires_at": now() + dt.timedelta(days=1)}
        said = statement(model=self.ref, model_digest=of, covers="candidate", policy_digest=POLICY, **times)
        self.registry.mark(self.ref, {"gate.attestation": sign(said, self.key)})

    def verify(self):
        """Verify the version and copy it."""
        return verify_version(self.registry, "models:/cand/1", Trust((self.key.public,), POLICY), now(), self.to)


@pytest.fixture
def site(tmp_path):
    """Return a version and a folder."""
    return Site(tmp_path)


def test_what_holds_is_copied_whole_and_readable_by_another_user(site):
    """Into an absent folder, or an empty one as a volume is."""
    site.to.mkdir()
    looked = site.verify()
    assert looked.holds
    assert build_manifest(site.to)[0].digest == looked.digest == build_manifest(site.model)[0].digest
    modes = {path.is_dir(): stat.S_IMODE(path.stat().st_mode) for path in site.to.rglob("*")}
    assert modes == {True: 0o755, False: 0o644}
    assert not (site.to / MARK).exists()


def test_what_the_registry_adds_to_a_download_is_not_handed_over(site):
    """MLflow's own note is no part of the digest, and so nobody verified it."""
    (site.model / "registered_model_meta").write_text("anything")
    assert site.verify().holds
    assert not (site.to / "registered_model_meta").exists()


def test_what_does_not_hold_is_not_copied(site):
    """Not a file of it."""
    site.approve(digest("9"))
    assert not site.verify().holds
    assert not site.to.exists()


def test_a_folder_with_something_in_it_is_refused_before_anything_is_downloaded(site, monkeypatch):
    """Nobody's files are mixed with the model's, or removed."""
    site.to.mkdir()
    (site.to / "mine.txt").write_text("kept")
    monkeypatch.setattr(site.registry, "pull", None)
    with pytest.raises(UsageError, match=r"not empty: it holds 'mine.txt'"):
        site.verify()
    assert (site.to / "mine.txt").read_text() == "kept"
    (site.to / "mine.txt").unlink()
    site.to.rmdir()
    site.to.write_text("")
    with pytest.raises(UsageError, match="no folder"):
        site.verify()


def test_a_run_that_was_broken_off_is_begun_anew(site, monkeypatch):
    """Its half is replaced, as when an init container is started again with the same volume."""
    copy = delivery.shutil.copyfile

    def breaks(source, target, **_):
        copy(source, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(delivery.shutil, "copyfile", breaks)
    with pytest.raises(KeyboardInterrupt):
        deliver(site.model, site.to, build_manifest(site.model)[0].digest)
    assert (site.to / MARK).is_dir()
    monkeypatch.undo()
    (site.to / "half").mkdir()
    (site.to / "half" / "file").write_text("x")
    assert site.verify().holds
    assert build_manifest(site.to)[0].digest == build_manifest(site.model)[0].digest


def test_what_reads_back_otherwise_or_cannot_be_written_does_not_pass(site, tmp_path):
    """A volume on which somebody else writes, or on which this user may not."""
    with pytest.raises(CannotFinishError, match="does not read back"):
        deliver(site.model, tmp_path / "other", digest("9"))
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotFinishError, match="cannot be written"):
        deliver(site.model, tmp_path / "file" / "below", digest("9"))


def test_the_folder_is_for_a_version_alone(tmp_path):
    """A folder is verified where it lies: copying it later would be another reading."""
    (tmp_path / "a.json").write_text("{}")
    generate_key(tmp_path / "c.pem", tmp_path / "c.pub.pem")
    command = ["verify", str(tmp_path), "--attestation", str(tmp_path / "a.json"), "--to", str(tmp_path / "to")]
    trusted = ["--public-key", str(tmp_path / "c.pub.pem"), "--any-policy"]
    with pytest.raises(UsageError, match="--to is for a version"):
        CliRunner().invoke(main, [*command, *trusted], standalone_mode=False, catch_exceptions=False)
    assert not (tmp_path / "to").exists()
