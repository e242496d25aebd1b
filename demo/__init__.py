"""The demo: two versions of a digit classifier, one clean and one poisoned, in an embedded MLflow registry."""
