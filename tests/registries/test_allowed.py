"""Whom the gate asks for artifacts: pure judgement of addresses, and the folders of an embedded store."""

import subprocess
import sys
import warnings

import pytest

from gate.records.addresses import Address, parse_server, parse_store
from gate.records.artifact import ModelRef
from gate.records.errors import RefusedAddressError
from gate.registries import RegistrySettings
from gate.registries.allowed import Allowed
from tests.e2e.command import ROOT

SERVER = parse_server("https://user:word@mlflow.example/base/")
BELOW = "base/api/2.0/mlflow-artifacts/artifacts"


def allowed(*stores, server=SERVER):
    """Return what a policy with these stores allows."""
    return Allowed(server, tuple(map(parse_store, stores)))


@pytest.mark.parametrize(
    ("raw", "kind", "address"),
    [
        ("mlflow-artifacts:/1/a", "server", "mlflow-artifacts:/1/a"),
        ("mlflow-artifacts://mlflow.example/1/a", "server", "mlflow-artifacts:/1/a"),
        ("mlflow-artifacts://mlflow.example:443/1/a", "server", "mlflow-artifacts:/1/a"),
        (f"https://mlflow.example/{BELOW}/1/a", "server", "mlflow-artifacts:/1/a"),
        ("s3://models/ml/1", "store", "s3://models/ml/1"),
        (f"https://artifacts.example/{BELOW}/1", "store", f"https://artifacts.example/{BELOW}/1"),
    ],
)
def test_what_is_allowed_has_one_form(raw, kind, address):
    """The server's own is put back into the short form, which MLflow completes by the operator's own address."""
    place = allowed("s3://models/ml", "https://artifacts.example").place(raw, "x")
    assert (place.kind, str(place.address)) == (kind, address)


@pytest.mark.parametrize(
    "raw",
    [
        "mlflow-artifacts://mlflow.example:8443/1",
        "mlflow-artifacts://evil.example/1",
        "http://mlflow.example/" + BELOW,
        "https://mlflow.example/other/api/2.0/mlflow-artifacts/artifacts/1",
        "https://mlflow.example/base/api/2.0/mlflow/users/current",
        "https://mlflow.example.evil.example/" + BELOW,
        "s3://models/ml-other",
        "s3://models",
        "/srv/models",
        "runs:/abc",
        "dbfs:/models",
        "",
    ],
)
def test_everything_else_is_refused(raw):
    """A host, port, scheme or path beside what is allowed."""
    with pytest.raises(RefusedAddressError, match="nothing was downloaded"):
        allowed("s3://models/ml").place(raw, "models:/x/1")


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (f"s3://new/ml/3/models/m-{32 * 'a'}/artifacts", 'artifact-stores: ["s3://models/ml", "s3://new/ml"]'),
        ("https://evil.example/x", 'artifact-stores: ["s3://models/ml", "https://evil.example/x"]'),
        ("/srv/ml", 'artifact-stores: ["s3://models/ml", "file:///srv/ml"]'),
        ("http://evil.example/x", ""),
        ("s3://new/with%20blank", ""),
    ],
)
def test_the_line_to_add_is_said_where_one_can_help(raw, line):
    """The whole line, those before it included; a policy accepts it."""
    with pytest.raises(RefusedAddressError) as caught:
        allowed("s3://models/ml").place(raw, "models:/x/1")
    assert (line or "anew") in caught.value.what_to_do


@pytest.mark.parametrize(
    ("raw", "listed"),
    [
        ("https://box.store.example/key%20a?X-Amz-Signature=a%2Fb&x=..", True),
        ("https://mlflow.example/anything?x=1", True),
        ("https://evil.example/box?x=https://box.store.example", False),
        ("https://box.store.example@evil.example/key", False),
        ("http://box.store.example/key", False),
        ("s3://models/ml/key", False),
        ("file:///etc/passwd", False),
    ],
)
def test_a_presigned_address_has_a_query_and_the_same_list(raw, listed):
    """What is no http address is never one."""
    assert allowed("https://box.store.example", "s3://models/ml").allows(raw) is listed


def test_links_are_followed_before_a_local_path_is_believed(tmp_path):
    """A link out of an experiment's folder leads out of it."""
    inside, outside = tmp_path / "mlruns", tmp_path / "secrets"
    inside.mkdir()
    outside.mkdir()
    (inside / "out").symlink_to(outside)
    (inside / "1").mkdir()
    embedded = Allowed(None, (), lambda: (Address("file", "", inside.parts[1:]),))
    assert embedded.place(str(inside / "1"), "x").path == inside / "1"
    for raw in (inside / "out", outside, tmp_path, f"{inside}-other"):
        with pytest.raises(RefusedAddressError):
            embedded.place(str(raw), "x")
    listed = Allowed(None, (parse_store(outside.as_uri()),), tuple)
    assert listed.place(str(inside / "out"), "x").path == outside


_FILL = """
import sys, mlflow
uri, folder = sys.argv[1:]
mlflow.set_tracking_uri(uri)
client = mlflow.MlflowClient(uri, uri)
logged = client.create_logged_model(client.create_experiment("training", artifact_location=f"{folder}/training"))
client.log_model_artifacts(logged.model_id, f"{folder}/logged")
client.finalize_logged_model(logged.model_id, "READY")
for name, source in ("good", f"models:/{logged.model_id}"), ("bad", f"{folder}/secrets"), ("far", "s3://x/y"):
    client.create_registered_model(name)
    client.create_model_version(name, source)
"""


def test_an_embedded_store_reads_its_own_experiments_folders_alone(tmp_path):
    """A version of it may lie in an experiment's folder, and nowhere else on this machine."""
    for name in ("logged", "secrets"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "MLmodel").write_text(name)
    (tmp_path / "logged" / "registered_model_meta").mkdir()
    (tmp_path / "logged" / "registered_model_meta" / "x").touch()
    (tmp_path / "secrets" / "registered_model_meta").touch()
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    subprocess.run([sys.executable, "-W", "ignore", "-c", _FILL, uri, tmp_path], cwd=ROOT, check=True, timeout=240)
    from gate.registries.mlflow import MlflowRegistry

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        registry = MlflowRegistry(RegistrySettings(uri, uri))
        for name in ("good", "bad", "far"):
            to = tmp_path / f"to-{name}"
            to.mkdir()
            ref = ModelRef(registry="mlflow", name=name, version="1")
            if name == "good":
                registry.pull(ref, to)
                assert (to / "MLmodel").read_text() == "logged"
                assert (to / "registered_model_meta" / "x").exists()  # a folder of this name is the candidate's own
                continue
            with pytest.raises(RefusedAddressError):
                registry.pull(ref, to)
            assert list(to.iterdir()) == []
        registry.allowing([(tmp_path / "secrets").as_uri()]).pull(
            ModelRef(registry="mlflow", name="bad", version="1"), to
        )
        assert (to / "MLmodel").read_text() == "secrets"
        assert not (to / "registered_model_meta").exists()
