"""A check: `pull`, `scan`, `report` and `publish`, and `check`, which is all four with one set of files."""
