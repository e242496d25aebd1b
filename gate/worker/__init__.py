"""The workers' entry points: separate processes without credentials, jailed before they read anything untrusted.

`python -I -m gate.worker JOB` reads one `ScanJob` and leaves a `ScanResult` in its scratch directory. The orchestrator
starts it through `gate.check.workers` and never imports anything of this wing.
"""
