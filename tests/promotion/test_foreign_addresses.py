"""A registry that leads elsewhere: no request arrives at a foreign host, and none with a credential anywhere else.

Against a real server, with an account's credentials set. What its interface refuses to store is written into its
database, as a hostile server or an older one would answer it.
"""

import datetime as dt
import json
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from gate.check.files import CheckFiles
from gate.check.pull import PullRequest, pull
from gate.policies.read import parse_policy
from gate.records.artifact import ModelRef, build_manifest
from gate.records.clock import today
from gate.records.errors import CannotFinishError, RefusedAddressError, UsageError
from gate.registries import RegistrySettings, open_production
from gate.registries.mlflow_bundles import DIGEST_TAG, USED_TAG
from gate.registries.mlflow_survey import missing_features
from tests.e2e.command import Desk
from tests.promotion.accounts import Server
from tests.registries.listener import in_front_of, listening

API = "api/2.0/mlflow-artifacts/artifacts"
POLICY = """\
version: 1
samples-from-tag: true
detectors:
  spectral-signature: {required: false}
"""
DATASET = {"mlflow.data.context": "training"}


@pytest.fixture
def heard():
    """Return what somebody else's host hears."""
    with listening() as heard:
        yield heard


def rewrite(server, statement, *values):
    """Change the server's database."""
    with closing(sqlite3.connect(server.folder / "server.db", timeout=60)) as opened, opened:
        assert opened.execute(statement, values).rowcount >= 1


def leads_to(server, name, location):
    """Let a version's files lie at a location."""
    rewrite(server, "UPDATE model_versions SET storage_location = ? WHERE name = ?", location, name)
    return ModelRef(registry="mlflow", name=name, version="1")


def refused(server, ref, to):
    """Pull a version, which must be refused; return the error."""
    to.mkdir()
    with server.registry() as registry, pytest.raises(RefusedAddressError) as caught:
        registry.pull(ref, to)
    assert list(to.iterdir()) == []
    return caught.value


FOREIGN = {
    "another artifact server": "{foreign}/" + API + "/1/x",
    "another server by the short form": "mlflow-artifacts://{host}/1/x",
    "another path of the server": "{own}/other/application",
    "a login": "http://gate:hush-hush@{host}/" + API + "/1/x",
    "the server as a login": "http://127.0.0.1@{host}/" + API + "/1/x",
    "the server by another name": "http://localhost:{port}/" + API + "/1/x",
    "the server by https": "https://127.0.0.1:{port}/" + API + "/1/x",
    "out of the server's artifacts": "{own}/" + API + "/%2e%2e/%2e%2e/health",
    "a bucket": "s3://somebody/else",
    "a local folder": "/etc",
    "a local folder by its address": "file:///etc",
    "a share": "file://{host}/x",
    "an older protocol": "ftp://{host}/x",
    "a stage": "models:/{name}/Production",
    "another server's model": "models://{host}/x/1",
    "itself": "models:/{name}/1",
}


@pytest.mark.parametrize("location", FOREIGN.values(), ids=FOREIGN)
def test_a_version_that_lies_elsewhere_is_not_asked_for(location, server, heard, tmp_path):
    """Nothing arrives at the foreign host and nothing is downloaded; the error says where the version lies."""
    name = server.candidate("weights")
    own, host = server.uri, heard.uri.removeprefix("http://")
    location = location.format(foreign=heard.uri, own=own, host=host, port=own.rsplit(":", 1)[1], name=name)
    error = refused(server, leads_to(server, name, location), tmp_path / "to")
    assert heard.requests == []
    assert "hush" not in str(error)


def test_what_a_run_or_a_logged_model_leads_to_is_judged_too(server, heard, tmp_path):
    """The address behind a reference counts, whichever way it was stored."""
    name, foreign = server.candidate("weights"), f"{heard.uri}/{API}/1/x"
    with server.account("trainer") as client:
        version = client.get_model_version(name, "1")
        run = client.create_run(client.get_experiment_by_name("training").experiment_id).info
    model_id = version.source.rsplit("/", maxsplit=1)[-1]
    ref = leads_to(server, name, f"models:/{model_id}")
    with server.registry() as registry:
        registry.pull(ref, tmp_path)
        assert (tmp_path / "MLmodel").exists()
    rewrite(server, "UPDATE logged_models SET artifact_location = ? WHERE model_id = ?", foreign, model_id)
    refused(server, ref, tmp_path / "by-model")
    rewrite(server, "UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", foreign, run.run_id)
    refused(server, leads_to(server, name, f"runs:/{run.run_id}/model"), tmp_path / "by-run")
    assert heard.requests == []


def test_the_servers_own_artifacts_are_its_own_in_every_form(server, tmp_path):
    """The short form, the short form with the host, and the whole address."""
    name = server.candidate("weights of every form")
    with server.account("trainer") as client:
        model = client.get_logged_model(client.get_model_version(name, "1").source.rsplit("/", maxsplit=1)[-1])
    path = model.artifact_location.removeprefix("mlflow-artifacts:/")
    host = server.uri.removeprefix("http://")
    for number, uri in enumerate(
        (f"mlflow-artifacts:/{path}", f"mlflow-artifacts://{host}/{path}", f"{server.uri}/{API}/{path}")
    ):
        ref, to = leads_to(server, name, uri), tmp_path / str(number)
        to.mkdir()
        with server.registry() as registry:
            registry.pull(ref, to)
        assert (to / "data" / "model.pt2").read_text() == "weights of every form"


def test_a_listed_store_is_asked_without_a_credential(server, heard, tmp_path):
    """The policy's list opens a way for bytes, and none for the registry's login."""
    name, files = server.candidate("weights"), {"files": [{"path": "MLmodel", "is_dir": False, "file_size": 5}]}
    ref = leads_to(server, name, f"{heard.uri}/{API}/box/model")
    heard.answer = lambda path: (200, {"Content-Type": "application/json"}, json.dumps(files).encode())
    with server.registry() as registry:
        registry.allowing([f"{heard.uri}/{API}/box"]).pull(ref, tmp_path)
        with pytest.raises(RefusedAddressError):
            registry.allowing([f"{heard.uri}/{API}/bo"]).pull(ref, tmp_path)
        with pytest.raises(RefusedAddressError):
            registry.pull(ref, tmp_path)
    assert (tmp_path / "MLmodel").read_bytes() == json.dumps(files).encode()
    assert {path.partition("?")[0] for _, path, _ in heard.requests} == {f"/{API}", f"/{API}/box/model/MLmodel"}
    assert heard.with_credentials == []


def test_a_redirect_is_not_followed(server, heard, tmp_path):
    """What a server behind the tracking server's own address sends elsewhere is an error, and no file."""
    name = server.candidate("weights")

    def answer(path):
        return (302, {"Location": f"{heard.uri}/elsewhere"}, b"go there") if path.endswith("/model.pt2") else None

    with (
        in_front_of(server.uri, answer) as uri,
        Server(uri, server.folder).registry() as registry,
        pytest.raises(CannotFinishError, match="302"),
    ):
        registry.pull(ModelRef(registry="mlflow", name=name, version="1"), tmp_path)
    assert heard.requests == []
    assert not (tmp_path / "data" / "model.pt2").exists() or not (tmp_path / "data" / "model.pt2").read_bytes()


@pytest.mark.parametrize("listed", [False, True], ids=["not listed", "listed"])
def test_a_presigned_address_is_held_to_the_list(listed, server, heard, tmp_path):
    """Not listed, the bytes come through the tracking server; listed, they come from there without a credential."""
    name, size = server.candidate("weights"), len("weights")
    heard.answer = lambda _path: (200, {}, b"WEIGHTS")
    presigned = {"url": f"{heard.uri}/bucket/key?X-Amz-Signature=abc", "headers": {}, "file_size": size}

    def answer(path):
        as_json = {"Content-Type": "application/json"}
        if path.endswith("/server-info"):
            return 200, as_json, json.dumps({"multipart_downloads_enabled": True}).encode()
        if "/presigned/" in path and path.endswith("model.pt2"):
            return 200, as_json, json.dumps(presigned).encode()
        if "/presigned/" in path:
            return 200, as_json, json.dumps(presigned | {"url": f"{heard.uri}:1/x", "file_size": 1}).encode()
        return None

    with in_front_of(server.uri, answer) as uri, Server(uri, server.folder).registry() as registry:
        allowing = registry.allowing([f"{heard.uri}/bucket"] if listed else [])
        allowing.pull(ModelRef(registry="mlflow", name=name, version="1"), tmp_path)
    assert (tmp_path / "data" / "model.pt2").read_text() == ("WEIGHTS" if listed else "weights")
    assert (tmp_path / "MLmodel").read_text().startswith("flavors")
    assert len(heard.requests) == (1 if listed else 0)
    assert heard.with_credentials == []


def test_the_gates_own_experiment_somewhere_else_gets_no_report(server, heard, tmp_path):
    """Whoever made the experiment before the gate did chose where its reports, and production's bytes, would go."""
    name = server.candidate("weights")
    with server.account("admin") as client:
        number = client.create_experiment("captured")
    rewrite(
        server, "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?", f"{heard.uri}/{API}/1", number
    )
    (tmp_path / "report.json").write_text("{}")
    ref = ModelRef(registry="mlflow", name=name, version="1")
    with server.account("admin"):
        registry = open_production(RegistrySettings(server.uri, server.uri, retries=0, experiment="captured"))
        with pytest.raises(RefusedAddressError, match="experiment 'captured'"):
            registry.log_reports(ref, tmp_path, "key")
        with pytest.raises(RefusedAddressError, match="experiment 'captured'"):
            registry.log_model(tmp_path, "key")
        with pytest.raises(RefusedAddressError, match="experiment 'captured'"):
            registry.keep_bundle(tmp_path, build_manifest(tmp_path)[0].digest)
        assert registry._client.search_runs([number], f"tags.`{DIGEST_TAG}` LIKE '%'") == []
    assert heard.requests == []


def test_a_kept_bundle_whose_run_leads_elsewhere_is_not_asked_for(server, heard, tmp_path):
    """It is refused where it is fetched; the next check keeps the bundle anew, and retention leaves the run alone."""
    folder = server.model_folder("weights that lead elsewhere")
    digest = build_manifest(folder)[0].digest
    with server.registry() as registry:
        place = registry.keep_bundle(folder, digest)
        run_id = place.split("/")[1]
        rewrite(server, "UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", f"{heard.uri}/{API}/1/x", run_id)
        with pytest.raises(RefusedAddressError, match="artifact-stores"):
            registry.fetch(place, tmp_path / "elsewhere")
        again = registry.keep_bundle(folder, digest)
        assert registry.bundle_places(digest) == (again, place)
        assert build_manifest(registry.fetch(again, tmp_path / "again"))[0].digest == digest
        registry._client.set_tag(run_id, USED_TAG, "2001-01-01")
        assert registry.drop_bundles(dt.date(2001, 1, 2)) == 0
    assert heard.requests == []


def pulled(server, name, tmp_path, **changes):
    """Pull a version with what goes with it; return what was pulled."""
    request = PullRequest(f"models:/{name}/1", parse_policy(POLICY, name="p.yml", on=today()), **changes)
    files = CheckFiles.create(tmp_path / "check")
    with server.registry() as registry:
        return pull(registry, request, files, tmp_path / "base", ModelRef(registry="mlflow", name=name, version="1"))


def test_a_tag_names_no_path_and_no_address(server, heard, tmp_path):
    """Each is a problem of the candidate, which flags; nothing is read and nothing is asked."""
    (tmp_path / "secret.npz").write_text("a secret of the runner")
    host = heard.uri.removeprefix("http://")
    for number, tag in enumerate(
        (
            str(tmp_path / "secret.npz"),
            f"file://{tmp_path}/secret.npz",
            f"{heard.uri}/{API}/samples.npz",
            f"mlflow-artifacts://{host}/samples.npz",
            "s3://somebody/samples.npz",
            f"models://{host}/x/1",
            "samples.npz",
        )
    ):
        name = server.candidate("weights")
        with server.account("trainer") as client:
            client.set_registered_model_tag(name, "gate.samples", tag)
        found = pulled(server, name, tmp_path / str(number))
        assert found.samples is None
        assert ["gate.samples" in one for one in found.problems] == [True]
    assert heard.requests == []


def a_run(server, artifact_uri=None):
    """Return the id of a trainer's run that logged a file `set/x.npz`, whose artifacts may lie elsewhere afterwards."""
    with server.account("trainer") as client:
        (server.folder / "x.npz").write_text("samples of the run")
        run = client.create_run(client.get_experiment_by_name("training").experiment_id)
        client.log_artifact(run.info.run_id, str(server.folder / "x.npz"), "set")
    if artifact_uri is not None:
        rewrite(server, "UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", artifact_uri, run.info.run_id)
    return run.info.run_id


def test_a_tag_that_names_an_artifact_of_the_registry_is_followed(server, heard, tmp_path):
    """A run's own artifact is fetched; one whose run keeps its artifacts elsewhere is a problem."""
    name = server.candidate("weights")
    good, bad = a_run(server), a_run(server, f"{heard.uri}/{API}/1/x")
    with server.account("trainer") as client:
        client.set_registered_model_tag(name, "gate.samples", f"runs:/{good}/set/x.npz")
    found = pulled(server, name, tmp_path / "good")
    assert (found.samples.name, found.problems) == ("x.npz", ())
    with server.account("trainer") as client:
        client.set_registered_model_tag(name, "gate.samples", f"runs:/{bad}/set/x.npz")
    found = pulled(server, name, tmp_path / "bad")
    assert (found.samples, len(found.problems)) == (None, 1)
    assert heard.requests == []


def test_a_training_set_comes_from_the_runs_own_artifacts_alone(server, heard, tmp_path):
    """A source elsewhere is passed over; a run that keeps everything elsewhere is a problem, and nothing is asked."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    name = server.candidate("weights")
    tags = [InputTag(key, value) for key, value in DATASET.items()]
    for number, (location, inside, problems) in enumerate(
        (
            (None, "{run}/set/x.npz", 0),
            (None, f"{heard.uri}/{API}/set.npz", 0),
            (None, "/etc/passwd", 0),
            (f"{heard.uri}/{API}/1/x", f"{heard.uri}/{API}/1/x/set/x.npz", 1),
        )
    ):
        run = a_run(server, location)
        with server.account("trainer") as client:
            uri = inside.format(run=client.get_run(run).info.artifact_uri)
            dataset = Dataset(name="d", digest=str(number), source_type="local", source=json.dumps({"uri": uri}))
            client.log_inputs(run, [DatasetInput(dataset, tags)])
        rewrite(server, "UPDATE model_versions SET run_id = ? WHERE name = ?", run, name)
        found = pulled(server, name, tmp_path / str(number))
        assert (found.training is not None, len(found.problems)) == (number == 0, problems), found
    assert heard.requests == []


def test_the_operators_own_samples_may_be_a_path_and_no_foreign_address(server, heard, tmp_path):
    """`--samples` is the operator's: a path on disk is read; an address is held to the same list."""
    name = server.candidate("weights")
    (tmp_path / "own.npz").write_text("samples")
    assert pulled(server, name, tmp_path / "path", samples=str(tmp_path / "own.npz")).samples.name == "own.npz"
    with pytest.raises(RefusedAddressError, match="artifact-stores"):
        pulled(server, name, tmp_path / "address", samples="s3://samples/own.npz")
    assert heard.requests == []


def test_a_check_says_the_line_and_leaves_the_version_flagged(server, heard, tmp_path):
    """Exit 3, one sentence, the line that the policy would need, and no approval left on the version."""
    name = server.candidate("weights")
    leads_to(server, name, f"s3://company-models/ml/1/models/m-{32 * 'a'}/artifacts")
    desk = Desk(tmp_path, {**server.variables(), "MLFLOW_S3_ENDPOINT_URL": heard.uri})
    images = np.random.default_rng(0).random((4, 1, 8, 8), np.float32)
    np.savez(tmp_path / "clean.npz", inputs=images, labels=np.array([0, 0, 1, 1]))
    ended = desk.gate("check", f"models:/{name}/1", "--samples", "clean.npz")
    assert (ended.code, len(ended.errors)) == (3, 1), ended
    assert 'artifact-stores: ["s3://company-models/ml"]' in ended.stderr
    assert heard.requests == []
    with server.account("gate") as client:
        assert client.get_model_version(name, "1").tags["gate.decision"] == "flagged"


def test_the_doctor_knows_the_stores_in_use_and_the_line_for_each(server, heard):
    """What is not allowed comes first, with the whole line; what no line can allow has none, and nothing is asked."""
    name = server.candidate("weights", "weights", "weights")
    places = (f"s3://company-models/ml/1/models/m-{32 * 'a'}/artifacts", f"{heard.uri}/{API}/x", "ftp://host/x")
    for number, place in enumerate(places, start=1):
        rewrite(
            server, "UPDATE model_versions SET storage_location = ? WHERE name = ? AND version = ?", place, name, number
        )
    with server.registry() as registry:
        found = {use.used_by[0]: use for use in registry.allowing(["s3://other"]).stores(name)}
        assert (registry.server_version() or "").startswith("3.")
    assert found[f"models:/{name}/1"].line == 'artifact-stores: ["s3://other", "s3://company-models/ml"]'
    assert found[f"models:/{name}/2"].line.endswith(f'"{heard.uri}/{API}/x"]')
    assert (found[f"models:/{name}/3"].allowed, found[f"models:/{name}/3"].line) == (False, "")
    assert {use.allowed for who, use in found.items() if who.startswith("experiment")} >= {True}
    assert [use.default for who, use in found.items() if who.startswith("models:")] == [False] * 3
    assert heard.requests == []


@pytest.mark.parametrize(
    ("version", "missing"),
    [
        ("2.2.1", ["aliases", "logged", "webhooks"]),
        ("2.22.0", ["logged", "webhooks"]),
        ("3.2", ["webhooks"]),
        ("3.17.2", []),
    ],
)
def test_what_a_servers_version_lacks_is_known(version, missing):
    """A sentence for each feature that the gate uses."""
    assert [said.split()[0].rstrip(",") for said in missing_features(version)] == missing


def test_a_tracking_uri_that_is_none_is_a_usage_error():
    """Before anything is asked."""
    with pytest.raises(UsageError, match="port"):
        open_production(RegistrySettings("http://127.0.0.1:port"))
