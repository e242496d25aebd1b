"""Models that no detector examines, as MLflow writes them: real ones of scikit-learn, the others by their files."""

import io
import json
import os
import pickle
import warnings
import zipfile

import mlflow
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

X = np.random.default_rng(0).random((60, 4))
Y = (X[:, 0] > 0.5).astype(int)


def linear():
    """Return a fitted pipeline."""
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)


def forest():
    """Return a fitted forest, which holds trees of compiled code."""
    return RandomForestClassifier(3, random_state=0).fit(X, Y)


def calling():
    """Return a pipeline that calls a function of the operating system where it predicts."""
    return make_pipeline(FunctionTransformer(os.system), LogisticRegression())


class Reduces:
    """Runs a command where it is unpickled."""

    def __reduce__(self):
        """Return what a pickle calls."""
        return os.system, ("true",)


def save(model, folder, form):
    """Write a model as `mlflow.sklearn.save_model` does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's advice about signatures and pickles
        mlflow.sklearn.save_model(model, str(folder), serialization_format=form, pip_requirements=["scikit-learn"])
    return folder


def written(folder, flavour, function, files):
    """Write a model folder by its entries and files, as another flavour's `save_model` does."""
    for name, raw in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
    (name, keys), loader = flavour, {"loader_module": f"mlflow.{flavour[0]}"}
    env = {"env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}, "python_version": "3.11.7"}
    value = {"flavors": {name: {"code": None, **keys}, "python_function": {**env, **loader, **function}}}
    (folder / "MLmodel").write_text(json.dumps(value | {"mlflow_version": "3.17.2"}))
    (folder / "conda.yaml").write_text(
        "channels:\n- conda-forge\ndependencies:\n- python=3.11.7\n- pip\nname: mlflow-env\n"
    )
    (folder / "python_env.yaml").write_text(
        "python: 3.11.7\nbuild_dependencies:\n- pip\ndependencies:\n- -r requirements.txt\n"
    )
    (folder / "requirements.txt").write_text("xgboost==2.1.0\n")
    return folder


def keras_archive(layer="Dense"):
    """Return a `.keras` archive of one layer."""
    config = {"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": [
        {"module": "keras.layers", "class_name": layer, "config": {"name": "d", "units": 2}, "registered_name": None}
    ]}, "registered_name": None}  # fmt: skip
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.5.0"}))
        archive.writestr("config.json", json.dumps(config))
    return buffer.getvalue()


BOOSTER = {"data": "model.json", "model_class": "xgboost.core.Booster", "model_format": "json", "xgb_version": "2.1.0"}
LIGHT = {"data": "model.lgb", "model_class": "lightgbm.basic.Booster", "lgb_version": "4.5.0"}
KERAS = {"data": "data", "keras_version": "3.5.0", "keras_backend": "jax", "save_exported_model": False}
ONE = {"data": "model.json"}
BOOSTED = {"model.json": b'{"learner": {}, "version": [2, 1, 0]}'}
OTHERS = {
    "xgboost": (("xgboost", BOOSTER), ONE, BOOSTED),
    "lightgbm": (("lightgbm", LIGHT), {"data": "model.lgb"}, {"model.lgb": b"tree\nversion=v4\n"}),
    "keras": (("keras", KERAS), {}, {"data/model.keras": keras_archive(), "data/keras_module.txt": b"keras"}),
}
"""By flavour: its entries, those of `python_function`, and its files."""
HOSTILE = {
    "another class is made": ((("xgboost", {**BOOSTER, "model_class": "subprocess.Popen"})), ONE, BOOSTED),
    "another loader": (("xgboost", BOOSTER), {**ONE, "loader_module": "mlflow.pyfunc.model"}, BOOSTED),
    "another file": (("xgboost", BOOSTER), {"data": "model.ubj"}, {**BOOSTED, "model.ubj": b"{"}),
    "a format of another file": (("xgboost", {**BOOSTER, "model_format": "ubj"}), ONE, BOOSTED),
    "no file named": (("xgboost", {k: v for k, v in BOOSTER.items() if k != "data"}), ONE, BOOSTED),
    "code": (("xgboost", {**BOOSTER, "code": "code"}), ONE, {**BOOSTED, "code/own.py": b"import os\n"}),
    "a file beside": (("xgboost", BOOSTER), ONE, {**BOOSTED, "more.bin": b"\x00"}),
    "a pickle in its place": (("xgboost", BOOSTER), ONE, {"model.json": pickle.dumps(Reduces())}),
    "another module for keras": (
        ("keras", KERAS),
        {},
        {"data/model.keras": keras_archive(), "data/keras_module.txt": b"os"},
    ),
    "a lambda layer": (
        ("keras", KERAS),
        {},
        {"data/model.keras": keras_archive("Lambda"), "data/keras_module.txt": b"keras"},
    ),
    "an unknown flavour": (
        ("spacy", {"data": "model.spacy", "spacy_version": "3.7.0"}),
        {"data": "model.spacy"},
        {"model.spacy/config.cfg": b"[nlp]\n"},
    ),
}
