"""Adapters of low rank as PEFT and `mlflow.transformers` write them, read as data: no PEFT, no torch, no code."""
