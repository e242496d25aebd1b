import warnings

import numpy as np
import pytest
import torch
from consumers_view import lint_archive
from exported_families import make, samples

from gate.programs import batched, read_program


@pytest.mark.parametrize("count", [1, 4], ids=["example of one", "example of four"])
@pytest.mark.parametrize("family", ["lenet", "resnet", "vit"])
def test_what_mlflow_saves_by_default_is_read(family, count, tmp_path, monkeypatch):
    """MLflow's default format, from an example of one sample or several, gives the eager model's outputs on a batch."""
    monkeypatch.chdir(tmp_path)
    model, shape = make(family)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own imports and remarks on requirements
        import mlflow.models
        import mlflow.pytorch

        example = samples(shape, count).numpy()
        signature = mlflow.models.infer_signature(example, np.zeros((count, 10), dtype=np.float32))
        mlflow.pytorch.save_model(
            model, tmp_path / "saved", input_example=example, signature=signature, pip_requirements=["torch"]
        )
    path = tmp_path / "saved" / "data" / "model.pt2"
    program = read_program(path)
    x = samples(shape, 6)
    torch.testing.assert_close(batched(program, samples(shape, 2))(x), model(x), rtol=1e-4, atol=1e-5)
    assert lint_archive(path) == ()
