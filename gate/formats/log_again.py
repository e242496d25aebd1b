"""How a model is logged so that the gate reads it: one text, which every refusal that advises it shares."""

from typing import Final

CALL: Final = "mlflow.pytorch.log_model(model, input_example=x, serialization_format='pt2')"
"""From MLflow 3.13 on; 3.9 has `export_model=True` instead. From 3.14 on it is the default, but not on Databricks."""
EXTRA: Final = "pip install 'model-promotion-gate[models]'"
"""What brings the libraries whose classes a pickled network is most often built of."""
