"""The jail: an unprivileged sandbox that a worker process puts around itself before it reads untrusted bytes.

A worker calls `enter` first of all, with a `JailSpec` of what it may still reach; `gate.jail.launch` is the parent's
side of the same wall. Two layers of the kernel hold it, Landlock (files, other processes) and seccomp (network, new
processes, signals), together with resource limits; no privilege, container or third-party library is needed. Nothing
here imports the rest of the gate but its errors. What is denied and what was tried where is in
docs/explanation/jail.md.

With `devices`, a GPU's files are opened, and with them its driver's ioctls, a large part of the kernel: for the worker
that runs no foreign code only. This was not tried with a GPU.
"""

from gate.jail.entry import enter, probe
from gate.jail.paths import gpu_devices, interpreter_paths, source_roots
from gate.jail.spec import Isolation, IsolationError, JailSpec, Level

__all__ = [
    "Isolation",
    "IsolationError",
    "JailSpec",
    "Level",
    "enter",
    "gpu_devices",
    "interpreter_paths",
    "probe",
    "source_roots",
]
