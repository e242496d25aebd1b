"""The MLflow registry as the service watches it: stages, which fire no webhook, and taking a version out of one."""

from collections.abc import Sequence

from gate.artifact import ModelRef
from gate.registries.mlflow_production import MlflowProduction

ARCHIVED = "Archived"


class MlflowWatched(MlflowProduction):
    """Registered models whose stages are looked at too."""

    def staged(self, name: str, stages: Sequence[str]) -> list[tuple[ModelRef, str]]:
        """Return the versions of a model that are in one of the stages now."""
        with self._errors(f"the stages of {name!r}"):
            found = self._client.search_model_versions(f"name = '{name.replace(chr(39), chr(39) * 2)}'")
        return [
            (ModelRef(registry="mlflow", name=str(one.name), version=str(one.version)), str(one.current_stage))
            for one in found
            if str(one.current_stage) in stages
        ]

    def archive(self, ref: ModelRef) -> None:
        """Take a version out of its stage."""
        import warnings  # noqa: PLC0415  # with its only use

        with self._errors(f"the stage of {ref}"), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # MLflow deprecates stages, and people still use them
            self._client.transition_model_version_stage(ref.name, ref.version, ARCHIVED)
