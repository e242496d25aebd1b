"""Readers of model files, one format a package, each yielding a `Program` without running anything of the file."""
