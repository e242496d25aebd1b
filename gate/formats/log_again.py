"""The call that logs a model in a form that the gate reads; every refusal that advises it shares this text."""

from typing import Final

CALL: Final = "mlflow.pytorch.log_model(model, input_example=x, serialization_format='pt2')"
"""From MLflow 3.13 on; 3.9 has `export_model=True` instead. From 3.14 on it is the default, but not on Databricks."""
EXTRA: Final = "pip install 'model-promotion-gate[models]'"
"""The command that installs the libraries whose classes most pickled networks are built of."""
ONNX_EXTRA: Final = "pip install 'model-promotion-gate[onnx]'"
"""The command that installs what reads and runs ONNX models."""
PIPELINES_EXTRA: Final = "pip install 'model-promotion-gate[transformers]'"
"""The command that installs the library by whose classes pipelines are composed."""
TEXT_EXTRA: Final = "pip install 'model-promotion-gate[text]'"
"""The command that installs what composes and tokenises for classifiers of texts."""
SEVERAL_LABELS: Final = "several labels at once (sigmoids), of which none excludes another"
"""What a model's scores are where no class is its answer: one version for each label is examined."""
