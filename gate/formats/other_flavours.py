"""What MLflow writes for the flavours of which the gate examines the bytes and never the behaviour, key by key.

The same kind of positive grammar as `gate.formats.mlflow_model`, for a policy that judges files alone. Each flavour
leaves its loader no choice: the file that it names, the loader that reads it, and the classes that it may make. Taken
from MLflow 2.9 to 3.17, `save_model` and `_load_pyfunc` of `mlflow/sklearn`, `xgboost`, `lightgbm`, `onnx` and `keras`.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from gate.formats.estimator_names import ESTIMATOR_NAMES
from gate.formats.mlflow_model import EXAMINED, FALSE, FLAVOUR, FUNCTION, VERSION, Foreign, entries, top_entries
from gate.formats.mlmodel import MLmodel
from gate.formats.shapes import Shape, either, exactly, many, text

PYFUNC: Final = "python_function"
_NULL = exactly(None)
_TRUSTED = either(
    _NULL,
    many(
        Shape(
            "a listed class",
            lambda given: isinstance(given, str) and tuple(given.rpartition(".")[::2]) in ESTIMATOR_NAMES,
        ),
        "names of scikit-learn's own classes",
    ),
)
_PREDICT = exactly("predict", "predict_proba", "predict_log_proba", "predict_joint_log_proba", "score")
KnownFlavour = Literal["sklearn", "xgboost", "lightgbm", "onnx", "keras"]
"""The flavours of this module, as an option of a detector names them."""
Said = Mapping[str, Any]


@dataclass(frozen=True)
class Flavour:
    """One flavour's grammar."""

    name: str
    keys: Mapping[str, Shape]
    function: Mapping[str, Shape]
    """Of `python_function` beside it, but for what every flavour has there."""
    named_by: str
    """The flavour's key that names its file or folder."""
    function_names_by: str
    """The key of `python_function` that must name the same; empty where its loader reads the flavour's."""
    files: re.Pattern[str]
    """Which files it has beside those that every model has."""
    fits: Callable[[Said], str] = lambda _said: ""
    """What of the flavour's own values does not go together, in words."""

    @property
    def advice(self) -> str:
        """What to do about an entry that MLflow does not write."""
        return f"Log the model again with mlflow.{self.name}.log_model."


def _files(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, flags=re.ASCII)


def _packed(said: Said) -> str:
    """Return how a format and the file that is read by it contradict each other."""
    name, packed = str(said.get("pickled_model", said.get("data"))), said.get("serialization_format")
    if packed is not None and (packed == "skops") != name.endswith(".skops") and not name.endswith(".lgb"):
        return f"serialization_format is {packed!r} and the file {name!r}"
    return ""


def _boosted(said: Said) -> str:
    """Return how XGBoost's format and file contradict each other."""
    stated = said.get("model_format")
    return "" if stated is None or said.get("data") == f"model.{stated}" else f"model_format is {stated!r}"


_PACKING = exactly("cloudpickle", "pickle", "skops")
_XGBOOST = "XGBClassifier XGBModel XGBRFClassifier XGBRFRegressor XGBRanker XGBRegressor"
_LIGHTGBM = "LGBMClassifier LGBMModel LGBMRanker LGBMRegressor"
_EVERY: Final = (
    Flavour(
        name="sklearn",
        keys={
            "pickled_model": exactly("model.pkl", "model.skops"),
            "serialization_format": _PACKING,
            "skops_trusted_types": _TRUSTED,
            "sklearn_version": VERSION,
        },
        function={"model_path": exactly("model.pkl", "model.skops"), "predict_fn": _PREDICT},
        named_by="pickled_model",
        function_names_by="model_path",
        files=_files(r"model\.(pkl|skops)"),
        fits=_packed,
    ),
    Flavour(
        name="xgboost",
        keys={
            "data": exactly("model.ubj", "model.json", "model.xgb"),
            "model_class": exactly("xgboost.core.Booster", *(f"xgboost.sklearn.{name}" for name in _XGBOOST.split())),
            "model_format": exactly("ubj", "json", "xgb"),
            "xgb_version": VERSION,
        },
        function={"data": exactly("model.ubj", "model.json", "model.xgb")},
        named_by="data",
        function_names_by="data",
        files=_files(r"model\.(ubj|json|xgb)"),
        fits=_boosted,
    ),
    Flavour(
        name="lightgbm",
        keys={
            "data": exactly("model.lgb", "model.pkl", "model.skops"),
            "lgb_version": VERSION,
            "model_class": exactly(
                "lightgbm.basic.Booster", *(f"lightgbm.sklearn.{name}" for name in _LIGHTGBM.split())
            ),
            "serialization_format": _PACKING,
            "skops_trusted_types": _TRUSTED,
        },
        function={"data": exactly("model.lgb", "model.pkl", "model.skops")},
        named_by="data",
        function_names_by="data",
        files=_files(r"model\.(lgb|pkl|skops)"),
        fits=_packed,
    ),
    Flavour(
        name="onnx",
        keys={
            "data": exactly("model.onnx"),
            "onnx_session_options": _NULL,
            "onnx_version": VERSION,
            "providers": many(text(r"[A-Za-z]{1,60}ExecutionProvider", "a provider"), "names of execution providers"),
        },
        function={"data": exactly("model.onnx")},
        named_by="data",
        function_names_by="data",
        # Large tensors lie beside the graph, in a file that onnx gives a random name; the graph says which.
        files=_files(r"model\.onnx|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    ),
    Flavour(
        name="keras",
        keys={
            "data": exactly("data"),
            "keras_backend": exactly("tensorflow", "jax", "torch"),
            "keras_version": VERSION,
            "save_exported_model": FALSE,
        },
        function={},
        named_by="data",
        function_names_by="",
        files=_files(r"data/(model\.keras|keras_module\.txt)"),
    ),
)
FLAVOURS: Final[Mapping[str, Flavour]] = {flavour.name: flavour for flavour in _EVERY}
"""By the flavour's name."""


def flavour_of(model: MLmodel, known: Collection[str]) -> Flavour | None:
    """Return the one flavour that a model declares beside `python_function`, if it is one of the known."""
    named = sorted(set(model.flavors) - {PYFUNC})
    return FLAVOURS.get(named[0]) if len(named) == 1 and named[0] in known else None


def foreign_to(model: MLmodel, flavour: Flavour) -> Iterator[Foreign]:
    """Yield every entry of an `MLmodel` that no supported MLflow writes for such a flavour."""
    for entry in (*top_entries(model), *_own(model, flavour), *_together(model, flavour)):
        yield replace(entry, advice=flavour.advice)


def _own(model: MLmodel, flavour: Flavour) -> Iterator[Foreign]:
    shared = {key: FLAVOUR[key] for key in ("code", "extra_files")}
    yield from entries(flavour.name, model.flavors[flavour.name], {**shared, **flavour.keys})
    common = {key: FUNCTION[key] for key in ("code", "env", "model_code_path", "python_version", "streamable")}
    loader = {"loader_module": exactly(f"mlflow.{flavour.name}")}
    yield from entries(PYFUNC, model.flavors.get(PYFUNC, {}), {**common, **loader, **flavour.function})


def _together(model: MLmodel, flavour: Flavour) -> Iterator[Foreign]:
    """Yield what is missing without which a loader takes a default of its own, and what contradicts something else."""
    said, function = model.flavors[flavour.name], model.flavors.get(PYFUNC)
    named = said.get(flavour.named_by)
    if named is None:
        yield Foreign("loader", f"{flavour.name}.{flavour.named_by}", None, "MLflow writes it")
    if why := flavour.fits(said):
        yield Foreign("loader", flavour.name, None, f"{why}, which MLflow does not write together")
    if function is None:
        return
    if "loader_module" not in function:
        yield Foreign("loader", f"{PYFUNC}.loader_module", None, f"MLflow writes 'mlflow.{flavour.name}'")
    key = flavour.function_names_by
    if key and function.get(key) != named:
        place = f"{PYFUNC}.{key}"
        yield Foreign("loader", place, function.get(key), f"MLflow writes what {flavour.name}.{flavour.named_by} says")


def unknown_flavours(model: MLmodel, known: Collection[str]) -> Iterator[Foreign]:
    """Yield that a model is of no flavour whose bytes this policy judges."""
    named = ", ".join(sorted(model.flavors)) or "no flavour"
    listed = ", ".join((EXAMINED, *known))
    yield Foreign("loader", "flavors", named, f"this policy judges the bytes of models of one of {listed}", advice="")
