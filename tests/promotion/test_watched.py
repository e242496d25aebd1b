"""The registry as the service watches it, on a real server: stages are seen, and a version is taken out of one."""

from gate.artifact import ModelRef
from gate.registries import RegistrySettings
from gate.registries.mlflow_watched import MlflowWatched


def test_a_version_in_a_protected_stage_is_seen_and_archived(server):
    """Stage transitions fire no webhook: the poll looks for them, in the stages that it is told and no others."""
    name = server.candidate("first weights", "second weights")
    with server.account("trainer") as client:
        client.transition_model_version_stage(name, "2", "Production")
        client.transition_model_version_stage(name, "1", "Staging")
    moved = ModelRef(registry="mlflow", name=name, version="2")
    with server.account("gate"):
        watched = MlflowWatched(RegistrySettings(server.uri, server.uri, timeout_seconds=20, retries=0))
        assert watched.staged(name, ("Production",)) == [(moved, "Production")]
        watched.archive(moved)
        assert watched.staged(name, ("Production",)) == []
        assert watched.staged(name, ("Archived",)) == [(moved, "Archived")]


def test_a_production_model_that_is_yet_to_be_made_is_nothing_to_guard(server, key, tmp_path):
    """MLflow refuses a look at the aliases of a model that does not exist; the poll must not fail for that."""
    from gate.service.alerts import Alerts
    from gate.service.guard import Guard
    from gate.service.settings import ServiceFile, Settings

    section = {"name": "cand", "policy": tmp_path / "policy.yml", "production": "not-made-yet"}
    settings = Settings(ServiceFile.model_validate({"data": tmp_path, "models": [section]}), ("s",), "sqlite:///unused")
    with server.account("gate"):
        watched = MlflowWatched(RegistrySettings(server.uri, server.uri, timeout_seconds=20, retries=0))
        assert Guard(settings, watched, (key.public,), Alerts("")).look("not-made-yet") == "0"
