"""The demo's embedded MLflow registry: SQLite and a folder of artifacts, no server to start."""

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from demo.models import Digits

MODEL_NAME = "digits"
CANDIDATE_EXPERIMENT = "digits-training"


class DemoRegistry:
    """One SQLite file and one folder of artifacts below a directory."""

    def __init__(self, root: Path) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        import mlflow

        root.mkdir(parents=True, exist_ok=True)
        self.tracking_uri = f"sqlite:///{(root / 'mlflow.db').resolve()}"
        self._artifacts = (root / "artifacts").resolve()
        mlflow.set_tracking_uri(self.tracking_uri)
        mlflow.set_registry_uri(self.tracking_uri)
        self.client: Any = mlflow.MlflowClient(self.tracking_uri, self.tracking_uri)
        found = self.client.get_experiment_by_name(CANDIDATE_EXPERIMENT)
        self._experiment = (
            found.experiment_id
            if found
            else self.client.create_experiment(
                CANDIDATE_EXPERIMENT, artifact_location=(self._artifacts / "training").as_uri()
            )
        )
        if self.client.get_experiment_by_name("gate") is None:
            self.client.create_experiment("gate", artifact_location=(self._artifacts / "gate").as_uri())

    def register(self, model: torch.nn.Module, example: torch.Tensor, description: str) -> str:
        """Log a model in MLflow's default format, register it, and return its version number."""
        import mlflow

        with warnings.catch_warnings(), mlflow.start_run(experiment_id=self._experiment):
            warnings.simplefilter("ignore")  # MLflow's hints about signatures and requirements are not the demo's story
            logged = mlflow.pytorch.log_model(
                model,
                name="model",
                input_example=example.numpy(),
                pip_requirements=["torch"],
            )
            version = mlflow.register_model(logged.model_uri, MODEL_NAME)
        self.client.update_model_version(MODEL_NAME, version.version, description=description)
        return str(version.version)

    def tags(self, version: str) -> dict[str, str]:
        """Return a version's tags."""
        return dict(self.client.get_model_version(MODEL_NAME, version).tags)


def save_samples(digits: Digits, path: Path, count: int = 500) -> Path:
    """Write held-out images and labels as an .npz for --samples."""
    np.savez_compressed(path, inputs=digits.test_x[:count].numpy(), labels=digits.test_y[:count].numpy())
    return path
