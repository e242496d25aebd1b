"""Bundles kept in an embedded store: once per digest, completed after an end at any step, and read back."""

import contextlib
import datetime as dt
import shutil
import warnings

import pytest

from gate.records.artifact import build_manifest
from gate.records.clock import today
from gate.records.errors import RegistryError, UsageError
from gate.registries import RegistrySettings
from gate.registries import mlflow_bundles as bundles
from gate.registries.directory import DirectoryRegistry
from gate.registries.mlflow_bundles import DIGEST_TAG, KEPT_TAG, STATE_TAG, USED_TAG, WHOLE, Bundles

NEVER_KEPT = f"sha256:{64 * '0'}"
CLAIMED = f"sha256:{64 * 'c'}"


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """Return the gate's adapter over a store that is embedded in SQLite and a folder."""
    import mlflow

    from gate.registries.mlflow import MlflowRegistry

    root = tmp_path_factory.mktemp("embedded")
    uri = f"sqlite:///{root}/mlflow.db"
    with contextlib.chdir(root), warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        mlflow.MlflowClient(uri, uri).search_experiments()  # makes the database, which the gate never does
        yield MlflowRegistry(RegistrySettings(uri, uri))
        mlflow.set_tracking_uri(None)
        mlflow.set_registry_uri(None)


@pytest.fixture
def bundle(tmp_path, request):
    """Return a folder with a bundle's files, other ones for each test, and its digest."""
    return bundle_of(tmp_path / "bundle", request.node.name)


def bundle_of(folder, text):
    """Write a bundle's files; return the folder and its digest."""
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors:\n  pytorch:\n    model_data: data\n")
    (folder / "data" / "model.pt2").write_text(text)
    return folder, build_manifest(folder)[0].digest


def runs(registry, digest):
    """Return the runs of a digest."""
    experiment = registry._client.get_experiment_by_name("gate").experiment_id
    return registry._client.search_runs([experiment], f"tags.`{DIGEST_TAG}` = '{digest}'")


def fetched(registry, place, to):
    """Return the digest of what lies at a place."""
    return build_manifest(registry.fetch(place, to))[0].digest


def used(registry, place, day=None):
    """Return, after setting it, on which day a kept bundle was used last."""
    run_id = place.split("/")[1]
    if day is not None:
        registry._client.set_tag(run_id, USED_TAG, day)
    return registry._client.get_run(run_id).data.tags[USED_TAG]


def test_a_bundle_is_kept_once_and_found_by_its_digest(registry, bundle, tmp_path):
    """The second time finds the first, and notes the day; another digest has a run of its own."""
    folder, digest = bundle
    place = registry.keep_bundle(folder, digest)
    assert registry.bundle_places(digest) == (place,)
    assert fetched(registry, place, tmp_path / "to") == digest
    used(registry, place, "2020-01-01")
    assert registry.keep_bundle(folder, digest) == place
    assert used(registry, place) == today().isoformat()
    other = registry.keep_bundle(*bundle_of(tmp_path / "other", "other weights"))
    assert (len(runs(registry, digest)), other == place) == (1, False)


def test_what_is_not_kept_is_said_with_what_to_do(registry, bundle):
    """No run, a deleted run, text that is no digest, another folder's digest."""
    folder, digest = bundle
    with pytest.raises(RegistryError, match="no run of the experiment 'gate' holds the bundle") as caught:
        registry.bundle_places(NEVER_KEPT)
    assert "gate check" in caught.value.what_to_do
    assert "--bundle" in caught.value.what_to_do
    place = registry.keep_bundle(folder, digest)
    registry._client.delete_run(place.split("/")[1])
    with pytest.raises(RegistryError, match="or it was deleted"):
        registry.bundle_places(digest)
    assert registry.keep_bundle(folder, digest) != place
    for wrong in ("sha256:0", f"{NEVER_KEPT}' or tags.a = 'b"):
        with pytest.raises(UsageError, match="is no digest"):
            registry.bundle_places(wrong)
    with pytest.raises(UsageError, match="is not the bundle that was judged"):
        registry.keep_bundle(folder, NEVER_KEPT)
    assert runs(registry, NEVER_KEPT) == []


class InterruptedHereError(BaseException):
    """The process ended here; nobody catches it."""


class EndingClient:
    """MLflow's client, whose process ends before or after its n-th call."""

    def __init__(self, client, at, when):
        self._client, self._left, self._when = client, at, when

    def __getattr__(self, name):
        method = getattr(self._client, name)

        def called(*arguments, **options):
            self._left -= 1
            if self._left == -1 and self._when == "before":
                raise InterruptedHereError
            answer = method(*arguments, **options)
            if self._left == -1:
                raise InterruptedHereError
            return answer

        return called


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_end_at_any_call_leaves_nothing_that_is_taken_as_whole(registry, tmp_path, when):
    """What can be found is whole, and the next call leaves one run with the bytes: it completes the first."""
    experiment = registry._experiment()
    for at in range(20):
        folder, digest = bundle_of(tmp_path / f"bundle-{at}", f"weights {when} {at}")
        ends = Bundles(EndingClient(registry._client, at, when), experiment, registry._tracking_uri, registry.allowed)
        try:
            ends.keep(folder, digest, today())
        except InterruptedHereError:
            found = Bundles(registry._client, experiment, registry._tracking_uri, registry.allowed).places(digest)
            assert all(fetched(registry, one, tmp_path / f"to-{at}") == digest for one in found)
            place = registry.keep_bundle(folder, digest)
            assert found in {(), (place,)}
        assert len(runs(registry, digest)) == 1
        (place,) = registry.bundle_places(digest)
        assert fetched(registry, place, tmp_path / f"again-{at}") == digest
        if ends._client._left >= 0:
            break
    assert 4 <= at < 19


def test_an_upload_that_ends_between_two_files_is_completed(registry, bundle, monkeypatch, tmp_path):
    """A part of the files is no bundle; the same run holds it in the end."""
    folder, digest = bundle
    from gate.registries import mlflow_transfer

    upload = mlflow_transfer.upload

    def half(place, folder, *rest):
        part = shutil.copytree(folder, tmp_path / "part", ignore=shutil.ignore_patterns("data"))
        upload(place, part, *rest)
        raise InterruptedHereError

    with monkeypatch.context() as patch:
        patch.setattr(mlflow_transfer, "upload", half)
        with pytest.raises(InterruptedHereError):
            registry.keep_bundle(folder, digest)
    with pytest.raises(RegistryError, match="none was kept"):
        registry.bundle_places(digest)
    (run,) = runs(registry, digest)
    assert registry.keep_bundle(folder, digest) == f"runs:/{run.info.run_id}/bundle"
    assert fetched(registry, registry.bundle_places(digest)[0], tmp_path / "to") == digest


def test_a_kept_bundle_that_was_changed_is_kept_again(registry, bundle, tmp_path):
    """Other bytes of the same size, a file too many, a file too few, another size: the next check mends each."""
    folder, digest = bundle
    text = (folder / "data" / "model.pt2").read_text()
    for number, (name, content) in enumerate(
        (("model.pt2", text.swapcase()), ("more.txt", "more"), ("model.pt2", None), ("model.pt2", f"{text} "))
    ):
        place = registry.keep_bundle(folder, digest)
        file = registry.fetch(place, tmp_path / f"before-{number}") and stored(registry, place) / "data" / name
        file.write_text(content) if content else file.unlink()
        assert fetched(registry, place, tmp_path / f"damaged-{number}") != digest
        mended = registry.keep_bundle(folder, digest)
        assert mended != place
        assert registry.bundle_places(digest)[0] == mended
        assert fetched(registry, mended, tmp_path / f"mended-{number}") == digest


def stored(registry, place):
    """Return the folder on disk of a kept bundle."""
    return registry._bundles(registry._experiment())._files(registry._client.get_run(place.split("/")[1])).path


def test_retention_deletes_what_is_old_and_the_gates_alone(registry, tmp_path, monkeypatch):
    """Older ones go, page by page and a bounded number a call; fresh, odd, tagless and other experiments' runs stay."""
    kept = {}
    for number, day in enumerate((*4 * ("2001-01-02",), "2001-01-03", "some day")):
        kept[number] = registry.keep_bundle(*bundle_of(tmp_path / str(number), str(number)), days=0)
        used(registry, kept[number], day)
    folder = bundle_of(tmp_path / "longer", "of a policy that keeps it for ever")
    kept["longer"] = registry.keep_bundle(*folder)
    assert registry.keep_bundle(*folder, days=0) == kept["longer"], "a shorter retention shortens no other"
    used(registry, kept["longer"], "2001-01-02")
    client = registry._client
    tags = {DIGEST_TAG: CLAIMED, STATE_TAG: WHOLE, USED_TAG: "2001-01-01", KEPT_TAG: "2001-01-01"}
    elsewhere = client.create_run(client.create_experiment("training"), tags=tags).info.run_id
    own = registry._experiment()
    tagless = client.create_run(own, tags={USED_TAG: "2001-01-01"}).info.run_id
    report = client.create_run(own, tags=tags).info.run_id
    client.log_text(report, "{}", "report/report.json")
    odd = {DIGEST_TAG: CLAIMED, USED_TAG: "2001-01-01", KEPT_TAG: "2001-01-01"}
    unfinished = client.create_run(own, tags=odd).info.run_id
    monkeypatch.setattr(bundles, "_PAGE", 2)
    monkeypatch.setattr(bundles, "MOST_DROPPED", 4)
    before = dt.date(2001, 1, 3)
    assert [registry.drop_bundles(before) for _ in range(3)] == [4, 1, 0]
    deleted = {*(kept[number].split("/")[1] for number in range(4)), unfinished}
    left = {*(one.split("/")[1] for one in kept.values()), elsewhere, tagless, report} - deleted
    assert {client.get_run(one).info.lifecycle_stage for one in deleted} == {"deleted"}
    assert {client.get_run(one).info.lifecycle_stage for one in left} == {"active"}


def test_nothing_is_kept_beside_a_folder_on_disk(tmp_path):
    """A directory is no registry that could."""
    for call in (
        lambda: DirectoryRegistry().keep_bundle(tmp_path, NEVER_KEPT),
        lambda: DirectoryRegistry().bundle_places(NEVER_KEPT),
        lambda: DirectoryRegistry().drop_bundles(today()),
    ):
        with pytest.raises(UsageError, match="no registry that keeps bundles"):
            call()
