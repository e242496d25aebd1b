"""Whether a worker may give up the user's rights, and how it reads what no other user may.

A gate that runs as root starts its workers as `nobody`. Copies for them are in private directories, which are opened to
one group that no user is in and that only the worker is given: other users still see nothing, and the worker, who owns
none of it, can change nothing. Other data must be open to all users; otherwise the worker keeps the user, and the
evidence says so and why.
"""

import grp
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_NEEDED_CAPABILITIES = {0: "CHOWN", 1: "DAC_OVERRIDE", 3: "FOWNER", 5: "KILL", 6: "SETGID", 7: "SETUID"}
_SPARE_GROUPS = range(1_900_000_000, 2_000_000_000)
"""Ids that neither distributions nor systemd nor container engines hand out."""
_MOST_ENTRIES = 250_000
_OTHERS_USE = stat.S_IROTH | stat.S_IWOTH


@dataclass(frozen=True)
class Rights:
    """The user and the group that a worker is started with."""

    group: int | None = None
    """The group by which it reads private copies, if any."""
    kept: str = ""
    """Reason why it keeps the orchestrator's user; empty if it gives the user up."""

    @property
    def dropped(self) -> bool:
        """Whether the worker runs as `nobody`."""
        return not self.kept


def lack() -> str:
    """Return why this process cannot start a worker as `nobody`; empty if it can."""
    if os.geteuid() != 0:
        return "the gate is no root itself"
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    effective = next((int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:")), 0)
    missing = [name for number, name in _NEEDED_CAPABILITIES.items() if not effective >> number & 1]
    return f"the gate lacks the capabilities {', '.join(missing)}" if missing else ""


def make_private(path: Path) -> None:
    """Open a new directory of this user to a spare group as well, if a worker can be given one."""
    if lack() or (group := _spare_group()) is None:
        return
    with suppress(OSError):  # a file system without owners: it stays this user's
        os.chown(path, -1, group)
        path.chmod(0o710)


def rights(scratch: Path, programs: Iterable[Path], data: Iterable[Path], devices: Iterable[Path] = ()) -> Rights:
    """Return the rights of a worker in this scratch that runs programs, reads data and uses devices.

    Data in a directory of `make_private` are opened to that directory's group; all others must be open to every user.
    """
    if why := lack():
        return Rights(kept=why)
    closed = [scratch] if not _reachable(scratch.resolve()) else []
    closed += [program for program in programs if not is_open_to_others(program)]
    if closed:
        return Rights(kept=_closed(closed[0]))
    for device in devices:
        if device.stat().st_mode & _OTHERS_USE != _OTHERS_USE:
            return Rights(kept=f"not every user may use {device}")
    return _of_data(data)


def _of_data(paths: Iterable[Path]) -> Rights:
    groups: set[int] = set()
    for path in paths:
        private = _private_above(path)
        closed = _closed_to_others(path) if private is None else None if _reachable(private) else private
        if closed is not None:
            return Rights(kept=_closed(closed))
        if private is not None:
            groups.add(private.stat().st_gid)
            try:
                _open_to_group(path, private)
            except OSError as error:
                return Rights(kept=f"{path} cannot be opened to a group: {error.strerror}")
    if len(groups) > 1:
        return Rights(kept="what it reads lies in several private directories")
    return Rights(group=next(iter(groups), None))


def is_open_to_others(path: Path) -> bool:
    """Tell whether any user may reach a file or directory and read it."""
    real = path.resolve()
    return _reachable(real) and bool(real.stat().st_mode & stat.S_IROTH)


def _closed(path: Path) -> str:
    return f"not every user may read {path}"


def _closed_to_others(path: Path) -> Path | None:
    """Return what some user may not read of a file or of all below a directory; None if all may read all."""
    real = path.resolve()
    if not _reachable(real):
        return real
    for count, (entry, status) in enumerate(_walk(real)):
        wanted = stat.S_IROTH | (stat.S_IXOTH if stat.S_ISDIR(status.st_mode) else 0)
        if not stat.S_ISLNK(status.st_mode) and status.st_mode & wanted != wanted:
            return entry
        if count >= _MOST_ENTRIES:
            return real
    return None


def _reachable(real: Path) -> bool:
    return all(directory.stat().st_mode & stat.S_IXOTH for directory in real.parents)


def _private_above(path: Path) -> Path | None:
    """Return the directory of `make_private` that a path is in, known by its owner, group and mode."""
    for directory in path.resolve().parents:
        status = directory.stat()
        own = status.st_uid == os.geteuid() and status.st_gid in _SPARE_GROUPS
        if own and stat.S_IMODE(status.st_mode) == 0o710:
            return directory
    return None


def _open_to_group(path: Path, private: Path) -> None:
    """Let the private directory's group read a file, or all below a directory, and enter the directories above."""
    group, real = private.stat().st_gid, path.resolve()
    for directory in real.parents:
        if directory == private:
            break
        _grant(directory, directory.lstat(), group, stat.S_IXGRP)
    for entry, status in _walk(real):
        _grant(entry, status, group, stat.S_IRGRP | (stat.S_IXGRP if stat.S_ISDIR(status.st_mode) else 0))


def _grant(path: Path, status: os.stat_result, group: int, mode: int) -> None:
    """Give a group rights on one entry; one that has them stays, since a change would show in its times."""
    if stat.S_ISLNK(status.st_mode) or (status.st_gid == group and status.st_mode & mode == mode):
        return
    os.chown(path, -1, group, follow_symlinks=False)
    path.chmod(stat.S_IMODE(status.st_mode) | mode)


def _walk(real: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield a path and, of a directory, everything below it, following no link."""
    yield real, real.lstat()
    for directory, names, files in os.walk(real, followlinks=False):
        for name in (*names, *files):
            entry = Path(directory) / name
            yield entry, entry.lstat()


def _spare_group() -> int | None:
    """Return the id of a group that no user is in; None if this user namespace has none to spare."""
    try:
        ranges = [tuple(map(int, line.split())) for line in Path("/proc/self/gid_map").read_text("ascii").splitlines()]
    except (OSError, ValueError):
        return None
    if not any(inside <= _SPARE_GROUPS.start and _SPARE_GROUPS.stop <= inside + count for inside, _, count in ranges):
        return None
    while True:
        group = _SPARE_GROUPS.start + secrets.randbelow(len(_SPARE_GROUPS))
        try:
            grp.getgrgid(group)
        except KeyError:
            return group
