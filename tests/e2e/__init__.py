"""The command line, end to end, on real MLflow."""
