"""Bundles kept on a real server with accounts: who may keep, two at once, and what somebody else's runs can do."""

import datetime as dt
import subprocess
import sys

import pytest

from gate.records.artifact import ModelRef, build_manifest
from gate.records.clock import today
from gate.records.errors import RegistryError
from gate.registries import mlflow_bundles
from gate.registries.mlflow_bundles import DIGEST_TAG, KEPT_TAG, STATE_TAG, USED_TAG, WHOLE
from tests.e2e.command import PATIENCE, ROOT

OLD = "2001-01-01"
KEEP = """
import sys
from pathlib import Path
from gate.registries import RegistrySettings, open_production
uri, folder, digest = sys.argv[1:]
registry = open_production(RegistrySettings(uri, uri, timeout_seconds=60, retries=0))
print("ready", flush=True)
sys.stdin.readline()
print(registry.keep_bundle(Path(folder), digest))
"""
"""Keeps a bundle as soon as it is told to."""


@pytest.fixture
def editor(server):
    """Let the trainer's account edit the gate's experiment, as no set-up should; return the experiment's id."""
    with server.registry() as registry:
        registry.keep_bundle(*bundle(server, "the first makes the experiment"))
    with server.account("admin") as client:
        number = client.get_experiment_by_name("gate").experiment_id
        server.auth().grant_user_permission("trainer", "experiment", number, "EDIT")
    yield number
    with server.account("admin"):
        server.auth().revoke_user_permission("trainer", "experiment", number)


def bundle(server, text):
    """Return a folder and its digest."""
    folder = server.model_folder(text)
    return folder, build_manifest(folder)[0].digest


def first_that_holds(registry, digest, to):
    """Return the first place of a digest that holds it, as a promotion finds it."""
    for number, place in enumerate(registry.bundle_places(digest)):
        if build_manifest(registry.fetch(place, to / str(number)))[0].digest == digest:
            return place
    return None


def forge(server, number, digest, text, **times):
    """Let the trainer make a run that claims a digest and holds other bytes; return its place."""
    with server.account("trainer") as client:
        tags = {DIGEST_TAG: digest, STATE_TAG: WHOLE, USED_TAG: today().isoformat()}
        run_id = client.create_run(number, tags=tags, **times).info.run_id
        client.log_artifacts(run_id, str(server.model_folder(text)), "bundle")
    return f"runs:/{run_id}/bundle"


def test_who_may_not_write_keeps_nothing(server):
    """The trainer's account is refused by the server, and there is nothing to be found."""
    folder, digest = bundle(server, "of an account that may not")
    with server.registry() as registry:
        registry.keep_bundle(*bundle(server, "the gate makes the experiment"))
    with server.registry("trainer") as registry:
        with pytest.raises(RegistryError, match=r"the account 'trainer' may not write its reports \(403, the bundle"):
            registry.keep_bundle(folder, digest)
        with pytest.raises(RegistryError, match="none was kept"):
            registry.bundle_places(digest)


@pytest.mark.story
def test_two_processes_at_once_keep_at_most_two_and_each_is_found(server, tmp_path):
    """Whatever they make of each other's run, every place that is found holds the bytes, and a third adds none."""
    folder, digest = bundle(server, "of two at once")
    with server.registry() as registry:
        command = [sys.executable, "-W", "ignore", "-c", KEEP, server.uri, str(folder), digest]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        both = [subprocess.Popen(command, cwd=ROOT, **pipes) for _ in range(2)]
        assert [one.stdout.readline() for one in both] == ["ready\n", "ready\n"]
        for one in both:
            one.stdin.write("go\n")
            one.stdin.flush()
        said = [one.communicate(timeout=PATIENCE)[0].strip() for one in both]
        places = registry.bundle_places(digest)
        assert set(said) == set(places)
        for number, place in enumerate(places):
            assert build_manifest(registry.fetch(place, tmp_path / str(number)))[0].digest == digest
        assert registry.keep_bundle(folder, digest) in places
        assert registry.bundle_places(digest) == places


def test_a_forged_run_is_not_believed_and_cannot_deny_for_ever(server, editor, tmp_path, monkeypatch):
    """Same sizes, made before or after the gate's, as many as are looked at, dated in the future: a check mends it."""
    monkeypatch.setattr(mlflow_bundles, "MOST_PLACES", 3)
    text = "weights of the gate"
    folder, digest = bundle(server, text)
    forged = forge(server, editor, digest, text.swapcase())
    with server.registry() as registry:
        assert first_that_holds(registry, digest, tmp_path / "forged") is None
        own = registry.keep_bundle(folder, digest)
        assert own != forged
        assert first_that_holds(registry, digest, tmp_path / "own") == own
    ahead = int((dt.datetime.now(dt.UTC) + dt.timedelta(days=1000)).timestamp() * 1000)
    future = {forge(server, editor, digest, text.swapcase(), start_time=ahead) for _ in range(2)}
    with server.registry() as registry:
        assert registry.keep_bundle(folder, digest) == own
        assert not future & set(registry.bundle_places(digest))
    for _ in range(mlflow_bundles.MOST_PLACES):
        forge(server, editor, digest, text.swapcase())
    with server.registry() as registry:
        assert first_that_holds(registry, digest, tmp_path / "hidden") is None
        again = registry.keep_bundle(folder, digest)
        assert first_that_holds(registry, digest, tmp_path / "again") == again == registry.bundle_places(digest)[0]


def test_an_unfinished_run_with_something_else_in_it_is_not_completed(server, editor, tmp_path):
    """A file or a folder too many, or a file where the bundle's folder would be: the bundle has a run of its own."""
    folder, digest = bundle(server, "weights beside something else")
    for number, name in enumerate(("bundle/more.txt", "bundle/more/more.txt", "bundle")):
        with server.account("trainer") as client:
            run_id = client.create_run(editor, tags={DIGEST_TAG: digest}).info.run_id
            client.log_text(run_id, "more", name)
        with server.registry() as registry:
            place = registry.keep_bundle(folder, digest)
            assert run_id not in place
            assert first_that_holds(registry, digest, tmp_path / str(number)) == place


def test_a_tag_does_not_let_retention_delete_a_report(server, editor, tmp_path):
    """Who may edit the experiment but not delete in it cannot have the gate do so; the old bundle goes."""
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.json").write_text("{}")
    with server.registry() as registry:
        ref = ModelRef(registry="mlflow", name="m", version="1")
        report = registry.log_reports(ref, tmp_path / "report", "of-retention").split("/")[1]
        old = registry.keep_bundle(*bundle(server, "an old bundle")).split("/")[1]
        fresh = registry.keep_bundle(*bundle(server, "a fresh bundle")).split("/")[1]
    with server.account("trainer") as client:
        for run_id in (report, old):
            client.set_tag(run_id, DIGEST_TAG, f"sha256:{64 * 'a'}")
            client.set_tag(run_id, STATE_TAG, WHOLE)
            for tag in (USED_TAG, KEPT_TAG):
                client.set_tag(run_id, tag, OLD)
    with server.registry() as registry:
        assert registry.drop_bundles(dt.date(2001, 1, 2)) == 1
        stages = [registry._client.get_run(one).info.lifecycle_stage for one in (report, old, fresh)]
    assert stages == ["active", "deleted", "active"]
