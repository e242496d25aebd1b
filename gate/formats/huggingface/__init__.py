"""Pipelines of transformers as `mlflow.transformers` logs them, read as data: no transformers, no torch, no code."""
