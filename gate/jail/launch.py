"""The parent's side: start a worker with nothing worth stealing, bound its output, and end it in time.

The parent holds the credentials and trusts nothing that comes back, neither exit code nor text. `run_worker` returns
plain facts (`WorkerExit`) for the caller to record; results are files in the scratch, which the caller reads as hostile
bytes. Call it from a thread that lives until it returns: the kernel kills the worker when that thread ends.
"""

import importlib.util
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gate.jail import kernel
from gate.jail.inert import inert_lines
from gate.jail.listening import Listener, OutputLimits, kill_group
from gate.records.errors import CannotFinishError, UsageError

NOBODY = 65534
_IMPORTED = ("gate", "numpy", "pydantic", "torch", "yaml")
"""Packages that every worker imports, one for each place where they may be installed."""
_PASSED_ON = (
    "CUBLAS_WORKSPACE_CONFIG CUDA_MODULE_LOADING CUDA_VISIBLE_DEVICES GOMP_SPINCOUNT LD_LIBRARY_PATH MKL_NUM_THREADS "
    "NVIDIA_VISIBLE_DEVICES OMP_NUM_THREADS OMP_WAIT_POLICY ONEDNN_MAX_CPU_ISA OPENBLAS_NUM_THREADS "
    "PYTORCH_CUDA_ALLOC_CONF TORCH_FORCE_WEIGHTS_ONLY_LOAD TZ"
)
PASSED_ON = frozenset(_PASSED_ON.split())
"""The only variables that a caller may add to a worker's environment; none of them holds a credential."""
_ISA_LEVELS = (
    "DEFAULT SSE41 AVX AVX2 AVX2_VNNI AVX2_VNNI_2 AVX512_CORE AVX512_CORE_VNNI AVX512_CORE_BF16 AVX512_CORE_FP16 "
    "AVX512_CORE_AMX AVX512_CORE_AMX_FP16 AVX10_1_512 AVX10_1_512_AMX AVX10_1_512_AMX_FP16"
)
POSSIBLE = {"ONEDNN_MAX_CPU_ISA": frozenset(_ISA_LEVELS.split())}
"""The values that a variable may have, where oneDNN documents a closed list (CPU dispatcher control)."""

_MEMORY = "hugetlb=1 trim_threshold=2000000000 top_pad=67108864 mmap_threshold=33554432"
"""How glibc gives out a worker's memory: what is freed stays its own, in large pages.

A pass of a large net makes and frees hundreds of megabytes. By default glibc gives them back each time, and the kernel
fills each page anew: half the time of a MobileNetV2 at 224 × 224 in float32. Other libraries of C ignore the variable.
"""
GLIBC_TUNABLES = ":".join(f"glibc.malloc.{setting}" for setting in _MEMORY.split())

_RUN_MODULE = """
import runpy, sys
sys.path.append(sys.argv.pop(1))
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True, kw_only=True)
class WorkerExit:
    """How a worker ended: facts for the record, none of them a verdict."""

    exit_code: int | None
    """The exit code; None if a signal ended it."""
    signal: int | None
    timed_out: bool
    """Whether it was killed at the deadline."""
    said_too_much: bool
    """Whether it was killed for exceeding the output limits."""
    seconds: float
    stderr_tail: str
    """The end of standard error: inert, but candidate-controlled text."""
    dropped_user: bool
    """Whether it ran as `nobody`, because the parent is root."""

    @property
    def ended_by_itself(self) -> bool:
        """Whether it exited with code 0 and nothing had to stop it; whether it did its work is another question."""
        return self.exit_code == 0 and not self.timed_out and not self.said_too_much


def protect_parent() -> None:
    """Close this process's `/proc` files and memory to others of the same user; call it first in the orchestrator."""
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)


def scrubbed_environment(scratch: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a worker's whole environment: nothing is inherited, and only names in `PASSED_ON` can be added.

    A value that its variable does not have by `POSSIBLE` is a `UsageError`, as is any other name.
    """
    added = extra or {}
    foreign = sorted(set(added) - PASSED_ON)
    if foreign:
        raise UsageError(f"a worker's environment was to hold {', '.join(foreign)}; expected only names in PASSED_ON")
    for name in added.keys() & POSSIBLE.keys():
        if added[name] not in POSSIBLE[name]:
            raise UsageError(
                f"{name} is {added[name][:100]!r}; expected one of {', '.join(sorted(POSSIBLE[name]))}",
                what_to_do=f"Set {name} to one of these, or unset it.",
            )
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "XDG_CACHE_HOME": str(scratch),
        "LANG": "C.UTF-8",
        # Libraries that ask for the user's name would otherwise open /etc/passwd, which the jail closes.
        "USER": "gate",
        "LOGNAME": "gate",
        "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1",
        "GLIBC_TUNABLES": GLIBC_TUNABLES,
        **added,
    }


def worker_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of the gate in an isolated interpreter, installed or from a checkout."""
    # An isolated interpreter (-I) takes no path from the environment or the working directory. The gate's own comes
    # last: nothing in a checkout may shadow an installed library.
    root = Path(__file__).resolve().parents[2]
    return [sys.executable, "-I", "-B", "-c", _RUN_MODULE, str(root), module, *arguments]


def programs() -> tuple[Path, ...]:
    """Return the interpreter and the roots that a worker imports from; it can run only if it may read each."""
    roots = (sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    found = (importlib.util.find_spec(name) for name in _IMPORTED)  # top-level names: nothing is run
    packages = (spec.origin for spec in found if spec is not None and spec.origin is not None)
    named = (sys.executable, *roots, *packages)
    return tuple(path for path in dict.fromkeys(map(Path, named)) if path.exists())


def run_worker(
    argv: Sequence[str],
    *,
    scratch: Path,
    deadline_seconds: float,
    variables: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] = lambda _line: None,
    limits: OutputLimits | None = None,
    drop_user: bool = False,
    group: int | None = None,
) -> WorkerExit:
    """Run a worker in its scratch until it ends or has to be ended; its whole process group ends with it.

    It gets the scrubbed environment with `variables` (names in `PASSED_ON`), no input and no descriptor. `on_line` gets
    each line of standard output, inert and cut; an exception from it ends the worker and is raised again. With
    `drop_user` (ask `gate.jail.rights` first) the scratch is given to `nobody`, who runs the worker as a member of
    `group`, if there is one, to read what is open to that group.
    """
    if drop_user:
        _hand_over(scratch)
    started = time.monotonic()
    groups = None if not drop_user else [] if group is None else [group]
    process = _start(argv, scratch, scrubbed_environment(scratch, variables), groups)
    listener = Listener(process, on_line, limits or OutputLimits())
    try:
        timed_out = not listener.listen(until=started + deadline_seconds)
    finally:
        _end(process)
    code = process.returncode
    return WorkerExit(
        exit_code=code if code >= 0 else None,
        signal=-code if code < 0 else None,
        timed_out=timed_out,
        said_too_much=listener.said_too_much,
        seconds=time.monotonic() - started,
        stderr_tail=inert_lines(bytes(listener.stderr), limit=listener.limits.kept_stderr_bytes),
        dropped_user=drop_user,
    )


def _start(
    argv: Sequence[str], scratch: Path, environment: dict[str, str], groups: list[int] | None
) -> subprocess.Popen[bytes]:
    """Start the worker as `nobody` with these groups, or as this user if `groups` is None."""
    dropped = groups is not None
    try:
        return subprocess.Popen(  # noqa: S603  # argv is the caller's own, never the candidate's
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            close_fds=True,
            start_new_session=True,
            cwd=scratch,
            env=environment,
            umask=0o077,
            user=NOBODY if dropped else None,
            group=NOBODY if dropped else None,
            extra_groups=groups,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise CannotFinishError(
            f"the worker {argv[0]!r} cannot be started{' as nobody' if dropped else ''}: {error}",
            what_to_do="Check that the interpreter can be read by every user, or run the gate as an ordinary user.",
        ) from None


def _hand_over(scratch: Path) -> None:
    """Make `nobody` the owner of the scratch and of all in it, without following links."""
    for directory, names, files in os.walk(scratch, followlinks=False):
        for path in (Path(directory), *(Path(directory) / name for name in (*names, *files))):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


def _end(process: subprocess.Popen[bytes]) -> None:
    kill_group(process)
    process.wait()
    for stream in (process.stdout, process.stderr):
        assert stream is not None
        stream.close()
