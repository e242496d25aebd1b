"""The canonical bundle: the MLflow folder that the gate writes around a program."""
