"""MLflow's own flavours and loaders, by name: the positive lists that a candidate's `MLmodel` is held against."""

_FLAVOURS = (
    "catboost diffusers h2o keras lightgbm onnx paddle pmdarima prophet pytorch sentence_transformers shap sklearn "
    "spacy spark statsmodels tensorflow transformers xgboost"
)
FLAVOURS = frozenset({*_FLAVOURS.split(), "python_function"})
"""Flavours whose loaders are MLflow's own and read data; those made to carry code, such as langchain, are not here."""

LOADERS = frozenset(f"mlflow.{name}" for name in _FLAVOURS.split())
"""What `loader_module` may say. `mlflow.pyfunc.model` and the models-from-code loader run what the artifact brings."""

PICKLE_MODULES = frozenset({"cloudpickle", "mlflow.pytorch.pickle_module", "pickle"})
"""What `pickle_module_info.txt` and `pickle_module_name` may say: the named module is imported before any check."""
