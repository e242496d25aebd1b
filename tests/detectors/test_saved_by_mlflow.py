"""Models as MLflow itself saves them raise no alarm in any detector on bytes."""

import pytest

from tests.corpus.measuring import measure

DETECTORS = ("artifact-integrity", "consumer-hazards", "unsafe-format", "unsafe-pickle")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["pt2", "pickle"])
def test_a_pytorch_model_saved_by_mlflow_raises_no_alarm(kind, tmp_path, monkeypatch):
    """Both formats of MLflow's PyTorch flavour, with an input example and a signature, measure zero."""
    import mlflow
    import numpy as np
    from torch import nn

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    example = np.zeros((2, 3, 8, 8), dtype="float32")
    signature = mlflow.models.infer_signature(example, np.zeros((2, 2), dtype="float32"))
    root = tmp_path / "model"
    mlflow.pytorch.save_model(
        network.eval(), root, serialization_format=kind, input_example=example, signature=signature
    )
    found = {item.metric: item.value for name in DETECTORS for item in measure(root, name) if item.value}
    assert found == ({"module-globals": 6} if kind == "pickle" else {})
