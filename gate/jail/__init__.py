"""The jail: an unprivileged sandbox that a worker process puts around itself before it reads untrusted bytes.

A worker calls `enter` before anything else, with a `JailSpec` of what it may still reach; the parent starts it with
`gate.jail.launch`. Landlock (files, other processes), seccomp (network, new processes, signals) and resource limits
enforce it; no privilege, container or third-party library is needed. docs/explanation/jail.md says what is denied.

With `devices`, a GPU's files are opened, and with them its driver's ioctls, a large part of the kernel: only for the
worker that runs no foreign code. Not yet tried with a GPU.
"""

from gate.jail.entry import enter, probe
from gate.jail.paths import gpu_devices, interpreter_paths, source_roots
from gate.jail.spec import Isolation, IsolationError, JailSpec

__all__ = [
    "Isolation",
    "IsolationError",
    "JailSpec",
    "enter",
    "gpu_devices",
    "interpreter_paths",
    "probe",
    "source_roots",
]
