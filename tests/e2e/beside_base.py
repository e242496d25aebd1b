"""What the stories of adapters and whole language models share: registering, and a desk with a bank of clean ones."""

import subprocess
import sys
from pathlib import Path

from tests.e2e.command import PATIENCE
from tests.e2e.stores import trainers_environment

BASE = "models:/smollm/1"


def register(tracking_uri, experiment, folders):
    """Log named folders as artifacts of runs, and register each as the next version of its name."""
    import mlflow
    from mlflow import MlflowClient

    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_experiment(experiment)
    client = MlflowClient(tracking_uri)
    for name in dict.fromkeys(name for name, _ in folders):
        client.create_registered_model(name)
    for name, made in folders:
        with mlflow.start_run() as run:
            mlflow.log_artifacts(str(made), "model")
        client.create_model_version(name, f"{run.info.artifact_uri}/model", run.info.run_id)


def desk_beside_base(world, module, kind):
    """Let a module of this folder register its models in its own process; return a desk for that kind, with keys."""
    folder = Path(world.folder) / module
    folder.mkdir()
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    made = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", f"tests.e2e.{module}", uri, str(folder)],
        cwd=folder,
        env=trainers_environment(folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert made.returncode == 0, made.stderr
    desk = world.desk(
        MLFLOW_TRACKING_URI=uri, GATE_POLICY=kind, GATE_SIGNING_KEY="gate.pem", GATE_PUBLIC_KEY="gate.pub.pem",
        GATE_SAMPLES=None, GATE_BASE=BASE,
    )  # fmt: skip
    assert desk.gate("keys", "generate", "--to", "gate.pem").code == 0
    return desk


def bank_of(desk, kind, name, count):
    """Build a bank of a model's first versions, five more at a time, and return how the last build ended."""
    for last in range(5, count + 1, 5):  # a build goes on where the one before was, and one command has its patience
        models = [part for number in range(1, last + 1) for part in ("--model", f"models:/{name}/{number}")]
        built = desk.gate("bank", "build", "--kind", kind, *models, "--to", "bank.json")
    return built
