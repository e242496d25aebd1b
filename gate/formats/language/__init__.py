"""Whole language models as `mlflow.transformers` and `save_pretrained` write them, read as data: no torch, no code."""
