"""The keys and values that MLflow writes for ONNX models, and for flavours of which the gate examines only the bytes.

A positive grammar as in `gate.formats.mlflow_model`; flavours beside ONNX are for a policy that judges files alone. It
leaves a loader no choice of the file, the reader and the classes that it makes. Taken from MLflow 2.9 to 3.17,
`save_model` and `_load_pyfunc` of `mlflow/sklearn`, `xgboost`, `lightgbm`, `onnx` and `keras`.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from gate.formats.estimator_names import ESTIMATOR_NAMES
from gate.formats.mlflow_model import EXAMINED, FALSE, FLAVOUR, FUNCTION, VERSION, Foreign, entries, top_entries
from gate.formats.mlmodel import MLmodel
from gate.formats.shapes import Shape, either, exactly, many, text
from gate.records.facts import EXAMINED_FLAVOURS

PYFUNC: Final = "python_function"
_NULL = exactly(None)
_LISTED = Shape(
    "a listed class", lambda given: isinstance(given, str) and tuple(given.rpartition(".")[::2]) in ESTIMATOR_NAMES
)
_TRUSTED = either(_NULL, many(_LISTED, "names of scikit-learn's own classes"))
_PREDICT = exactly("predict", "predict_proba", "predict_log_proba", "predict_joint_log_proba", "score")
KnownFlavour = Literal["sklearn", "xgboost", "lightgbm", "onnx", "keras"]
"""The flavours of this module, by the names that a detector's option uses."""
Values = Mapping[str, Any]


@dataclass(frozen=True)
class Flavour:
    """One flavour's grammar."""

    name: str
    keys: Mapping[str, Shape]
    files: re.Pattern[str]
    """Its files beside those that every model has."""
    named_by: str = "data"
    """The flavour's key that names its file or folder."""
    function_named_by: str = "data"
    """The key of `python_function` that names the same; empty if its loader reads the flavour's key."""
    function: Mapping[str, Shape] = field(default_factory=dict)
    """Further keys of `python_function` that only this flavour has there."""
    conflict: Callable[[Values], str] = lambda _values: ""
    """Description of how the flavour's own values contradict each other; empty if they do not."""
    surplus: Callable[[str], str] = lambda _path: ""
    """What a file is that the flavour does not have, and what to do; empty if only that is known."""


def _packed(values: Values) -> str:
    """Return how a format and the file that is read by it contradict each other."""
    name, packed = str(values.get("pickled_model", values.get("data"))), values.get("serialization_format")
    if packed is not None and (packed == "skops") != name.endswith(".skops") and not name.endswith(".lgb"):
        return f"serialization_format is {packed!r} and the file {name!r}"
    return ""


def _boosted(values: Values) -> str:
    """Return how XGBoost's format and file contradict each other."""
    stated = values.get("model_format")
    return "" if stated is None or values.get("data") == f"model.{stated}" else f"model_format is {stated!r}"


_PACKING = exactly("cloudpickle", "pickle", "skops")
_XGBOOST = ("XGBClassifier", "XGBModel", "XGBRFClassifier", "XGBRFRegressor", "XGBRanker", "XGBRegressor")
_LIGHTGBM = ("LGBMClassifier", "LGBMModel", "LGBMRanker", "LGBMRegressor")
_EVERY: Final = (
    Flavour(
        name="sklearn",
        keys={
            "pickled_model": exactly("model.pkl", "model.skops"),
            "serialization_format": _PACKING,
            "skops_trusted_types": _TRUSTED,
            "sklearn_version": VERSION,
        },
        files=re.compile(r"model\.(pkl|skops)", re.ASCII),
        named_by="pickled_model",
        function_named_by="model_path",
        function={"predict_fn": _PREDICT},
        conflict=_packed,
    ),
    Flavour(
        name="xgboost",
        keys={
            "data": exactly("model.ubj", "model.json", "model.xgb"),
            "model_class": exactly("xgboost.core.Booster", *(f"xgboost.sklearn.{name}" for name in _XGBOOST)),
            "model_format": exactly("ubj", "json", "xgb"),
            "xgb_version": VERSION,
        },
        files=re.compile(r"model\.(ubj|json|xgb)", re.ASCII),
        conflict=_boosted,
    ),
    Flavour(
        name="lightgbm",
        keys={
            "data": exactly("model.lgb", "model.pkl", "model.skops"),
            "lgb_version": VERSION,
            "model_class": exactly("lightgbm.basic.Booster", *(f"lightgbm.sklearn.{name}" for name in _LIGHTGBM)),
            "serialization_format": _PACKING,
            "skops_trusted_types": _TRUSTED,
        },
        files=re.compile(r"model\.(lgb|pkl|skops)", re.ASCII),
        conflict=_packed,
    ),
    Flavour(
        name="onnx",
        keys={
            "data": exactly("model.onnx"),
            "onnx_session_options": _NULL,
            "onnx_version": VERSION,
            "providers": many(text(r"[A-Za-z]{1,60}ExecutionProvider", "a provider"), "names of execution providers"),
        },
        # Large tensors are beside the graph, in a file that onnx gives a random name; the graph names it.
        files=re.compile(r"model\.onnx|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII),
    ),
    Flavour(
        name="keras",
        keys={
            "data": exactly("data"),
            "keras_backend": exactly("tensorflow", "jax", "torch"),
            "keras_version": VERSION,
            "save_exported_model": FALSE,
        },
        files=re.compile(r"data/(model\.keras|keras_module\.txt)", re.ASCII),
        function_named_by="",
    ),
)


def flavour_of(model: MLmodel, known: Collection[str]) -> Flavour | None:
    """Return the one flavour that a model declares beside `python_function`, if it is examined or one of the known."""
    named = sorted(set(model.flavors) - {PYFUNC})
    return next((one for one in _EVERY if [one.name] == named and one.name in {*known, *EXAMINED_FLAVOURS}), None)


def foreign_to(model: MLmodel, flavour: Flavour) -> Iterator[Foreign]:
    """Yield every entry of an `MLmodel` that no supported MLflow writes for such a flavour."""
    for entry in (*top_entries(model), *_own(model, flavour), *_together(model, flavour)):
        yield replace(entry, advice=f"Log the model again with mlflow.{flavour.name}.log_model.")


def _own(model: MLmodel, flavour: Flavour) -> Iterator[Foreign]:
    shared = {key: FLAVOUR[key] for key in ("code", "extra_files")}
    yield from entries(flavour.name, model.flavors[flavour.name], {**shared, **flavour.keys})
    common = {key: FUNCTION[key] for key in ("code", "env", "model_code_path", "python_version", "streamable")}
    common["loader_module"] = exactly(f"mlflow.{flavour.name}")
    if flavour.function_named_by:
        common[flavour.function_named_by] = flavour.keys[flavour.named_by]
    yield from entries(PYFUNC, model.flavors.get(PYFUNC, {}), {**common, **flavour.function})


def _together(model: MLmodel, flavour: Flavour) -> Iterator[Foreign]:
    """Yield each missing key for which a loader takes a default of its own, and each contradiction."""
    values, function = model.flavors[flavour.name], model.flavors.get(PYFUNC)
    named = values.get(flavour.named_by)
    if named is None:
        yield Foreign("loader", f"{flavour.name}.{flavour.named_by}", None, "MLflow writes it")
    if why := flavour.conflict(values):
        yield Foreign("loader", flavour.name, None, f"{why}, which MLflow does not write together")
    if function is None:
        return
    if "loader_module" not in function:
        yield Foreign("loader", f"{PYFUNC}.loader_module", None, f"MLflow writes 'mlflow.{flavour.name}'")
    key = flavour.function_named_by
    if key and function.get(key) != named:
        expected = f"MLflow writes what {flavour.name}.{flavour.named_by} says"
        yield Foreign("loader", f"{PYFUNC}.{key}", function.get(key), expected)


def unknown_flavours(model: MLmodel, known: Collection[str]) -> Iterator[Foreign]:
    """Yield that a model has no flavour whose bytes this policy judges."""
    named = ", ".join(sorted(model.flavors)) or "no flavour"
    listed = ", ".join((EXAMINED, *known))
    yield Foreign("loader", "flavors", named, f"this policy judges the bytes of models of one of {listed}", advice="")
