"""The jailed processes: without credentials, and shut in before they read anything untrusted.

`python -I -m gate.worker SCRATCH SHA256` reads one `ScanJob` and leaves a `ScanResult` in its scratch directory.
"""
