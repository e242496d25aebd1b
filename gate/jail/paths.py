"""The files that a Python worker must read to import its libraries, and no others.

Of a checkout on `sys.path` (an editable install, a development run) only the packages are opened: its root may also
hold what no worker may see (`.git/config` with a token, `.env`).
"""

import os
import pwd
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_SYSTEM = (
    "/usr/lib /usr/lib64 /lib /lib64 /usr/local/lib /etc/ld.so.cache /etc/ssl/openssl.cnf /etc/localtime "
    "/usr/share/zoneinfo /proc/self /proc/cpuinfo /proc/meminfo /sys/devices/system/cpu /sys/devices/system/node"
)


def interpreter_paths() -> tuple[Path, ...]:
    """Return what Python, its standard library, installed packages and their shared libraries are read from."""
    wanted = [Path(name) for name in _SYSTEM.split()]
    for prefix in {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}:
        wanted += [Path(prefix) / name for name in ("lib", "lib64", "pyvenv.cfg")]
    wanted += [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    wanted += [entry for entry in _module_roots() if _is_site(entry)]
    for root in source_roots():
        wanted += _modules_in(root)
    wanted += _editable_packages()
    return _outermost(path for path in wanted if path.exists() and not _holds_a_home(path))


def source_roots() -> tuple[Path, ...]:
    """Return the checkouts on `sys.path`, to be listed but not read as a whole (`JailSpec.listable`)."""
    return tuple(root for root in _module_roots() if not _is_site(root) and not _holds_a_home(root))


def gpu_devices() -> tuple[Path, ...]:
    """Return the files of the machine's GPUs."""
    return tuple(sorted(path for path in Path("/dev").glob("nvidia*") if not path.is_dir()))


def _module_roots() -> list[Path]:
    return [Path(entry) for entry in sys.path if os.path.isabs(entry) and os.path.isdir(entry)]  # noqa: PTH117, PTH112


def _is_site(root: Path) -> bool:
    """Tell whether a directory belongs to the interpreter or holds installed packages only."""
    if root.name in ("site-packages", "dist-packages"):
        return True
    return any(root.is_relative_to(home) for home in (sys.prefix, sys.base_prefix, "/usr/lib", "/usr/local/lib"))


def _modules_in(root: Path) -> Iterator[Path]:
    """Yield the packages and single modules directly in a checkout."""
    for child in sorted(root.iterdir()):
        is_package = (child / "__init__.py").is_file() or child.suffix in (".dist-info", ".egg-info")
        if is_package or (child.suffix in (".py", ".so") and child.is_file()):
            yield child


def _editable_packages() -> Iterator[Path]:
    """Yield the packages that an editable install maps in by a finder instead of an entry of `sys.path`."""
    for finder in sys.meta_path:
        mapping = getattr(sys.modules.get(getattr(finder, "__module__", "")), "MAPPING", {})
        yield from (Path(str(location)) for location in mapping.values())


def _holds_a_home(path: Path) -> bool:
    """Tell whether a directory is the root, a home directory, or above one: never opened as a whole."""
    homes = [Path.home()]
    with suppress(KeyError):  # a container's made-up user has no entry
        homes.append(Path(pwd.getpwuid(os.getuid()).pw_dir))
    resolved = path.resolve()
    return resolved == Path("/") or any(home.resolve().is_relative_to(resolved) for home in homes if str(home) != "/")


def _outermost(paths: Iterator[Path]) -> tuple[Path, ...]:
    """Return the paths, resolved, without those that another one contains."""
    kept: list[Path] = []
    for path in sorted({path.resolve() if not path.is_relative_to("/proc") else path for path in paths}):
        if not any(path.is_relative_to(other) for other in kept):
            kept.append(path)
    return tuple(kept)
