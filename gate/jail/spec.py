"""The jail that is asked for (`JailSpec`), the one that was achieved (`Isolation`), and the error if it fails."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from gate.records.errors import CannotFinishError

Level = Literal["full", "partial", "none"]

_RANK: dict[Level, int] = {"none": 0, "partial": 1, "full": 2}


class IsolationError(CannotFinishError):
    """The jail cannot be built as asked, or does not hold; no untrusted byte was read (exit 3)."""


@dataclass(frozen=True, kw_only=True)
class JailSpec:
    """What a jailed process may still reach; everything not named here is closed."""

    readable: tuple[Path, ...]
    """Files, and directories with all below them, that may be read."""
    writable: tuple[Path, ...]
    """Directories in which files and directories may be read, made, changed and removed."""
    cpu_seconds: int
    """Processor time over all threads; the kernel kills the process that uses more."""
    file_size_bytes: int
    """The largest file that may be written."""
    listable: tuple[Path, ...] = ()
    """Directories to be listed, here and below, without reading a file: roots of checkouts."""
    devices: tuple[Path, ...] = ()
    """GPU device files for reading, writing and ioctl; only for workers without foreign code."""
    address_space_bytes: int | None = None
    """Limit of addresses; None with a GPU, whose driver reserves far more than it uses."""
    open_files: int = 256

    def __post_init__(self) -> None:
        for path in (*self.readable, *self.writable, *self.listable, *self.devices):
            if not path.is_absolute():
                raise IsolationError(f"a jail was asked for with the path {str(path)!r}; expected an absolute one")
            if path.resolve() == Path("/"):
                raise IsolationError("a jail was asked for that opens the whole file system; name directories below /")
        if not self.writable:
            raise IsolationError("a jail was asked for without a writable directory; expected the worker's scratch")


@dataclass(frozen=True)
class Isolation:
    """How far the kernel isolates the process; `str()` of it is in the evidence and the report."""

    level: Level
    landlock_abi: int
    """The Landlock ABI that was used; 0 if the kernel has none."""
    seccomp: bool
    missing: tuple[str, ...]
    """The layers that are absent, and what is therefore open."""

    @classmethod
    def of(cls, *, landlock_abi: int, seccomp: bool) -> Self:
        """Return the isolation that these two layers give together."""
        missing: list[str] = []
        if landlock_abi < 1:
            missing.append("Landlock: files and other processes of the same user stay open")
        if not seccomp:
            missing.append("seccomp: network, new processes and signals stay open")
        levels: tuple[Level, ...] = ("full", "partial", "none")
        return cls(level=levels[len(missing)], landlock_abi=landlock_abi, seccomp=seccomp, missing=tuple(missing))

    def at_least(self, level: Level) -> bool:
        """Tell whether this isolation is as strong as `level` asks."""
        return _RANK[self.level] >= _RANK[level]

    def __str__(self) -> str:
        layers = [f"Landlock ABI {self.landlock_abi}"] if self.landlock_abi else []
        layers += ["seccomp"] if self.seccomp else []
        text = f"{self.level} ({', '.join(layers)})" if layers else self.level
        return f"{text}; missing {'; '.join(self.missing)}" if self.missing else text
