"""A registry of many versions: one trained net, and copies of it with a little noise, some of them twice.

Every version has its own bytes, but for a share that is registered again under another name: these are one task.
"""

import copy
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from demo.models import load_digits, train
from demo.registry import save_samples
from gate import detectors
from gate.policies.packaged import DEFAULT

MODELS = 10
"""Registered models that the versions are spread over; the first is done alone, and its times predict the others'."""
_NOISE = 1e-4
_TWICE = 10
"""One version in so many has the bytes of an earlier one."""
_MLMODEL = "flavors:\n  pytorch:\n    model_data: data\n    pytorch_version: 2.13.0\n"


@dataclass(frozen=True)
class Store:
    """An embedded MLflow store, its samples, and the versions in it."""

    uri: str
    samples: Path
    versions: tuple[str, ...]


def make(folder: Path, versions: int, seed: int) -> Store:
    """Train a net, log noisy copies of it, and register them; return the store."""
    folder.mkdir(parents=True)
    digits = load_digits(seed)
    trained = train(digits, seed, poisoned=False).model
    samples = save_samples(digits, folder / "clean.npz")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    client = _client(uri)
    experiment = client.create_experiment("training", artifact_location=(folder / "artifacts").as_uri())
    made, sources = [], list[tuple[str, str]]()
    for number in range(versions):
        if number % _TWICE == _TWICE - 1:
            source, model_id = sources[number // 2]
        else:
            source, model_id = _log(client, experiment, _noisy(trained, number), digits.test_x[:1], folder)
        sources.append((source, model_id))
        made.append(_register(client, f"fleet-{number % MODELS}", source, model_id))
    return Store(uri, samples, tuple(made))


def _client(uri: str) -> Any:
    import mlflow

    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    return mlflow.MlflowClient(uri, uri)


def _noisy(model: torch.nn.Module, number: int) -> torch.nn.Module:
    noise = torch.Generator().manual_seed(number)
    changed = copy.deepcopy(model).eval()
    with torch.no_grad():
        for weight in changed.parameters():
            weight.add_(_NOISE * torch.randn(weight.shape, generator=noise))
    return changed


def _log(client: Any, experiment: str, model: torch.nn.Module, example: torch.Tensor, folder: Path) -> tuple[str, str]:
    here = folder / "model"
    (here / "data").mkdir(parents=True)
    (here / "MLmodel").write_text(_MLMODEL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(model, (example,)), here / "data" / "model.pt2")
    logged = client.create_logged_model(experiment, name="model")
    client.log_model_artifacts(logged.model_id, str(here))
    client.finalize_logged_model(logged.model_id, "READY")
    shutil.rmtree(here)
    return f"models:/{logged.model_id}", str(logged.model_id)


def _register(client: Any, name: str, source: str, model_id: str) -> str:
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    return f"models:/{name}/{client.create_model_version(name, source, model_id=model_id).version}"


def quick_policy(path: Path) -> Path:
    """Write the default policy without the detectors that run the model: bytes, graph and weights alone."""
    policy = yaml.safe_load(DEFAULT.read_text())
    kept = {name for name in policy["detectors"] if not _runs(name)}
    policy["name"] = "bytes-and-graph"
    policy["detectors"] = {name: rule for name, rule in policy["detectors"].items() if name in kept}
    policy["stages"] = [
        {"detectors": [name for name in stage["detectors"] if name in kept]}
        for stage in policy["stages"]
        if kept & set(stage["detectors"])
    ]
    path.write_text(yaml.safe_dump(policy, sort_keys=False))
    return path


def _runs(name: str) -> bool:
    return detectors.load(name).looks_at not in {"bytes", "graph"}
