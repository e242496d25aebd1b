"""The trial's MLflow server on loopback, with one clean and one backdoored version of a small digit classifier.

The models are the committed ones of tests/zoo_subset; they are logged as files, so that this process needs no torch.
"""

import logging
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / "tests" / "zoo_subset"
MODEL_NAME = "digits"
START_SECONDS = 600
_MLMODEL = "flavors:\n  pytorch:\n    model_data: data\n    serialization_format: pt2\n"


@dataclass(frozen=True)
class Registry:
    """A running server, and its client."""

    uri: str
    client: Any

    def register(self, nickname: str, folder: Path) -> str:
        """Log a committed model as a version of MODEL_NAME and return its number."""
        (folder / "data").mkdir(parents=True)
        (folder / "MLmodel").write_text(_MLMODEL, encoding="utf-8")
        shutil.copyfile(MODELS / f"{nickname}.pt2", folder / "data" / "model.pt2")
        run = self.client.create_run(self.client.get_experiment_by_name("Default").experiment_id)
        self.client.log_artifacts(run.info.run_id, str(folder), "model")
        self.client.set_terminated(run.info.run_id)
        source = f"{run.info.artifact_uri}/model"
        return str(self.client.create_model_version(MODEL_NAME, source, run_id=run.info.run_id).version)

    def tags(self, version: str) -> dict[str, str]:
        """Return a version's tags."""
        return dict(self.client.get_model_version(MODEL_NAME, version).tags)


@contextmanager
def serving(folder: Path) -> Iterator[Registry]:
    """Yield a server with an empty registered model; it is ended, with its children, when the block is left."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    uri = f"http://127.0.0.1:{port}"
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder / 'server.db'}", "--serve-artifacts"),
        *("--artifacts-destination", str(folder / "artifacts")),
    ]
    quiet = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    }
    os.environ.update(quiet)
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait(f"{uri}/health", process, folder / "server.log")
        import mlflow

        logging.getLogger("mlflow").setLevel(logging.WARNING)
        mlflow.set_tracking_uri(uri)
        client: Any = mlflow.MlflowClient(uri, uri)
        client.create_registered_model(MODEL_NAME)
        yield Registry(uri, client)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()


def write_samples(path: Path) -> Path:
    """Write the committed clean images, in [0, 1], as the .npz that --samples takes, readable to any user."""
    with np.load(MODELS / "digits-scan.npz") as stored:
        np.savez(path, inputs=stored["inputs"].astype(np.float32) / 255, labels=stored["labels"].astype(np.int64))
    path.chmod(0o644)
    return path


def _wait(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(address, timeout=2) as answer:
            if answer.status == 200:
                return
        time.sleep(0.2)
    raise RuntimeError(f"the MLflow server did not start: {log.read_text(errors='replace')[-2000:]}")
