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
