"""Makes the files of a release, `python -m release` (`make dist`), and what the docs site needs (`make docs`)."""
