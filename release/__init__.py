"""Makes the files of a release: `python -m release` (`make dist`)."""
