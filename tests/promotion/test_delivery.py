"""`gate verify --to`: what is served is the copy that was hashed, and an init container may be started again."""

import datetime as dt
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from gate.attestations.envelope import sign
from gate.attestations.keys import generate_key
from gate.cli.main import main
from gate.promotion import delivery
from gate.promotion.delivery import MARK, deliver
from gate.promotion.verification import Trust, now, verify_version
from gate.records.artifact import EVERY_FILE, ArtifactFile, Manifest, build_manifest
from gate.records.errors import CannotFinishError, UsageError
from gate.records.policy import DownloadBounds
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
        return verify_version(
            self.registry,
            "models:/cand/1",
            Trust((self.key.public,), POLICY, download=DownloadBounds()),
            now(),
            self.to,
        )


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
    with pytest.raises(UsageError, match=r"not empty, and .* with 'mine\.txt'"):
        site.verify()
    assert (site.to / "mine.txt").read_text() == "kept"
    (site.to / "mine.txt").unlink()
    site.to.rmdir()
    site.to.write_text("")
    with pytest.raises(UsageError, match="no folder"):
        site.verify()


def broken_off(site, monkeypatch, at):
    """Hand the version over until a call of the delivery's, which breaks off once it is done."""
    module, name = {"copy": (delivery.shutil, "copyfile"), "hash": (delivery, "build_manifest")}[at]
    real = getattr(module, name)

    def breaks(*arguments, **options):
        made = real(*arguments, **options)
        if any(site.to in (one, *one.parents) for one in map(Path, arguments)):
            raise KeyboardInterrupt
        return made

    monkeypatch.setattr(module, name, breaks)
    with pytest.raises(KeyboardInterrupt):
        site.verify()
    monkeypatch.undo()
    assert (site.to / MARK).is_file()


@pytest.mark.parametrize("at", ["copy", "hash"])
@pytest.mark.parametrize("moved", [False, True])
def test_a_run_that_was_broken_off_is_begun_anew(site, monkeypatch, at, moved):
    """What it left is replaced, as when an init container is started again, also where other bytes are served now."""
    broken_off(site, monkeypatch, at)
    if moved:
        (site.model / "MLmodel").rename(site.model / "other")
        site.approve(build_manifest(site.model)[0].digest)
    assert site.verify().holds
    assert build_manifest(site.to, ignored=EVERY_FILE)[0] == build_manifest(site.model)[0]


@pytest.mark.parametrize("name", ["mine.txt", "data/mine.txt", "empty/", "data/link"])
def test_what_a_run_did_not_leave_stays(site, monkeypatch, name):
    """A file that somebody put beside what was left is not the gate's to remove."""
    broken_off(site, monkeypatch, "hash")
    path = site.to / name
    if name.endswith("/"):
        path.mkdir()
    elif "link" in name:
        path.symlink_to(site.model)
    else:
        path.write_text("kept")
    with pytest.raises(UsageError, match=rf"holds '{name}', which the gate did not put there"):
        site.verify()
    assert path.exists()
    assert (site.to / "MLmodel").exists()


@pytest.mark.parametrize("held", ["../secret.txt", "/secret.txt", "away/secret.txt"])
def test_a_list_that_somebody_wrote_removes_nothing_elsewhere(site, tmp_path, held):
    """Only what lies in the folder itself can be removed, and no link in it is followed."""
    secret = tmp_path / "secret.txt"
    secret.write_text("kept")
    site.to.mkdir()
    (site.to / "away").symlink_to(tmp_path)
    listed = ArtifactFile(path=f"{tmp_path}{held}" if held[0] == "/" else held, size_bytes=4, sha256=64 * "a")
    (site.to / MARK).write_bytes(Manifest(files=(listed,)).canonical_json())
    with pytest.raises(UsageError, match="holds 'away'"):
        site.verify()
    assert secret.read_text() == "kept"


@pytest.mark.parametrize("text", ["", "{", "{}"])
def test_a_list_that_was_never_finished_names_nothing(site, text):
    """Nothing was copied before it: the folder is as good as empty, or its files are somebody's own."""
    site.to.mkdir()
    (site.to / MARK).write_text(text)
    assert site.verify().holds
    assert not (site.to / MARK).exists()
    (site.to / MARK).write_text(text)
    with pytest.raises(UsageError, match="not put there"):
        site.verify()


def test_a_second_start_finds_what_the_first_handed_over(site, monkeypatch):
    """A pod whose sandbox is renewed runs its init containers again, with the volume as it was."""
    assert site.verify().holds
    monkeypatch.setattr(delivery, "_copy", None)
    assert site.verify().holds
    assert build_manifest(site.to, ignored=EVERY_FILE)[0] == build_manifest(site.model)[0]


def test_what_was_handed_over_and_holds_no_longer_is_told_so(site):
    """The reasons, not the folder, are what keeps the pod back."""
    site.verify()
    site.registry.mark(site.ref, {"gate.attestation": "unsigned"})
    assert not site.verify().holds


@pytest.mark.parametrize("change", ["changed", "added", "removed", "folder", "link", "served"])
def test_a_folder_of_other_bytes_is_refused_before_anything_is_downloaded(site, monkeypatch, change):
    """Somebody else's file, or the bytes of a version that the alias no longer names; nothing is removed."""
    site.verify()
    weights = site.to / "data" / "weights.bin"
    {
        "changed": lambda: weights.write_text("other"),
        "added": lambda: (site.to / "registered_model_meta").write_text("mine"),
        "removed": weights.unlink,
        "folder": (site.to / "empty").mkdir,
        "link": lambda: (site.to / "link").symlink_to("MLmodel"),
        "served": lambda: site.approve(digest("9")),
    }[change]()
    before = sorted(site.to.rglob("*"))
    monkeypatch.setattr(site.registry, "pull", None)
    with pytest.raises(UsageError, match="not empty, and what it holds is not what was approved"):
        site.verify()
    assert sorted(site.to.rglob("*")) == before


def test_a_folder_that_changes_after_it_was_looked_at_does_not_pass(site, monkeypatch):
    """It is hashed again after the verification, as a copy is."""
    site.verify()
    pull = site.registry.pull

    def meanwhile(*arguments):
        (site.to / "MLmodel").write_text("other")
        return pull(*arguments)

    monkeypatch.setattr(site.registry, "pull", meanwhile)
    with pytest.raises(CannotFinishError, match="does not read back"):
        site.verify()


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
