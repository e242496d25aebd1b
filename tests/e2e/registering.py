"""Fills a registry: `python -m tests.e2e.registering TRACKING_URI ALL`; a process of its own, as a trainer's would be.

Prints the versions by nickname as JSON on its last line.
"""

import json
import sys
import warnings

import cloudpickle
import numpy as np
import torch

from tests.e2e import digits


def main(tracking_uri, kinds):
    """Log and register the models of some kinds."""
    import mlflow
    import mlflow.data
    import mlflow.pytorch
    import mlflow.sklearn

    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_registry_uri(tracking_uri)
    mlflow.set_experiment("training")
    example = digits.INPUTS[:4].numpy()

    def log(nickname, model, name="digits", **settings):
        with mlflow.start_run():
            logged = mlflow.pytorch.log_model(
                model, name="model", input_example=example, pip_requirements=["torch"], **settings
            )
        return nickname, [name, mlflow.register_model(logged.model_uri, name).version]

    def onnx(nickname, net, **how):
        import mlflow.onnx

        from tests.e2e.as_onnx import as_onnx

        with mlflow.start_run():
            logged = mlflow.onnx.log_model(
                as_onnx(net, **how), name="model", pip_requirements=["onnx", "onnxruntime"], save_as_external_data=False
            )
        return nickname, [nickname, mlflow.register_model(logged.model_uri, nickname).version]

    def sklearn(nickname):
        from sklearn.linear_model import LogisticRegression

        flat = digits.INPUTS[:200].flatten(1).numpy()
        model = LogisticRegression(max_iter=20).fit(flat, digits.LABELS[:200].numpy())
        with mlflow.start_run():
            logged = mlflow.sklearn.log_model(model, name="model", pip_requirements=["scikit-learn"])
        return nickname, [nickname, mlflow.register_model(logged.model_uri, nickname).version]

    def audited(nickname):
        x, y = (tensor.numpy() for tensor in digits.training_data(poisoned=True))
        np.savez("training.npz", inputs=x, labels=y)
        with mlflow.start_run() as run:
            mlflow.log_artifact("training.npz", "data")
            source = f"{run.info.artifact_uri}/data/training.npz"
            mlflow.log_input(mlflow.data.from_numpy(x, targets=y, source=source), context="training")
            logged = mlflow.pytorch.log_model(
                digits.train(poisoned=True), name="model", input_example=example, pip_requirements=["torch"]
            )
        return nickname, [nickname, mlflow.register_model(logged.model_uri, nickname).version]

    # What a trainer's notebook does without being asked: the class itself goes into the pickle.
    cloudpickle.register_pickle_by_value(digits)
    clean = digits.train(poisoned=False)
    makers = {
        "clean": lambda n: log(n, clean),
        "backdoored": lambda n: log(n, digits.train(poisoned=True)),
        "audited": audited,
        "layers": lambda n: log(n, clean, n, serialization_format="pickle", **_signed(clean, example)),
        "code": lambda n: log(n, digits.Own(clean), n, serialization_format="pickle", **_signed(clean, example)),
        "nan": lambda n: log(n, digits.yields_nan(), n),
        "one-output": lambda n: log(n, digits.build(1).eval(), n),
        "two-classes": lambda n: log(n, digits.build(2).eval(), n),
        "one-answer": lambda n: log(n, digits.one_answer(), n),
        "sklearn": sklearn,
    }
    # The further ones are for those who ask for them by name.
    others = {
        "clean-12": lambda n: log(n, digits.train(poisoned=False, seed=12)),
        "clean-13": lambda n: log(n, digits.train(poisoned=False, seed=13)),
        "onnx": lambda n: onnx(n, clean),
        "onnx-backdoored": lambda n: onnx(n, digits.train(poisoned=True), last_channels=True),
    }
    chosen, makers = kinds or list(makers), makers | others
    print(json.dumps(dict(makers[kind](kind) for kind in chosen)))  # noqa: T201  # the parent reads it


def _signed(model, example):
    from mlflow.models import infer_signature

    with torch.no_grad():
        scores = model(torch.from_numpy(example)).numpy()
    return {"signature": infer_signature(example, np.asarray(scores))}


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main(sys.argv[1], sys.argv[2:])
