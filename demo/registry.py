"""The demo's embedded MLflow registry: SQLite and a folder of artifacts, no server to start."""

import logging
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from demo.models import Digits

DIGITS = "digits"


class DemoRegistry:
    """One SQLite file and one folder of artifacts below a directory."""

    def __init__(self, root: Path, name: str = DIGITS) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        import mlflow

        root.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.tracking_uri = f"sqlite:///{(root / 'mlflow.db').resolve()}"
        self._artifacts = (root / "artifacts").resolve()
        mlflow.set_tracking_uri(self.tracking_uri)
        mlflow.set_registry_uri(self.tracking_uri)
        self.client: Any = mlflow.MlflowClient(self.tracking_uri, self.tracking_uri)
        self._experiment = self._experiment_of(f"{name}-training", "training")
        self._experiment_of("gate", "gate")

    def _experiment_of(self, name: str, folder: str) -> str:
        """Return the id of an experiment, which is made where there is none."""
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        place = (self._artifacts / folder).as_uri()
        return str(self.client.create_experiment(name, artifact_location=place))

    def register(self, model: torch.nn.Module, example: torch.Tensor, description: str) -> str:
        """Log a model in MLflow's default format, register it, and return its version number."""
        import mlflow

        return self._registered(
            lambda: mlflow.pytorch.log_model(
                model, name="model", input_example=example.numpy(), pip_requirements=["torch"]
            ),
            description,
        )

    def register_pipeline(self, pipeline: Any, description: str) -> str:
        """Log a pipeline of transformers, register it, and return its version number."""
        import mlflow

        # It would say that no card of the model was found on a hub, which is not asked here.
        logging.getLogger("mlflow.transformers").setLevel(logging.ERROR)
        needs = ["torch", "transformers"]
        return self._registered(
            lambda: mlflow.transformers.log_model(pipeline, name="model", pip_requirements=needs), description
        )

    def _registered(self, log: Callable[[], Any], description: str) -> str:
        import mlflow

        with warnings.catch_warnings(), mlflow.start_run(experiment_id=self._experiment):
            warnings.simplefilter("ignore")  # MLflow's hints about signatures and requirements are not the demo's story
            version = mlflow.register_model(log().model_uri, self.name)
        self.client.update_model_version(self.name, version.version, description=description)
        return str(version.version)

    def tags(self, version: str) -> dict[str, str]:
        """Return a version's tags."""
        return dict(self.client.get_model_version(self.name, version).tags)


def save_samples(digits: Digits, path: Path, count: int = 500) -> Path:
    """Write held-out images and labels as an .npz for --samples."""
    np.savez_compressed(path, inputs=digits.test_x[:count].numpy(), labels=digits.test_y[:count].numpy())
    return path
