"""Preconditions of the machine for `gate doctor`: platform, jail, container engine, disk, clock."""

import datetime as dt
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gate.records.errors import GateError

State = Literal["ok", "unused", "wrong"]

IN_A_CONTAINER = "make container && docker run --rm gate:cpu doctor"
MOST_SKEW = dt.timedelta(minutes=5)
"""Largest difference between the registry's clock and this one: signed decisions are dated and expire."""
_SHOWN_SKEW = dt.timedelta(seconds=30)
_ROOM = 5 << 30


@dataclass(frozen=True)
class Condition:
    """One precondition and its state."""

    name: str
    state: State
    text: str
    """What was found, and what was expected where that differs."""
    mend: str = ""
    """Remedy in a sentence."""
    command: str = ""
    """Remedy as a whole command or policy line, to be copied."""


def wrong(name: str, error: GateError) -> Condition:
    """Return the condition of an error."""
    return Condition(name, "wrong", str(error), error.what_to_do)


def platform_of_gate(system: str = sys.platform) -> Iterator[Condition]:
    """Yield whether workers can be jailed on this platform."""
    name = {"linux": "Linux", "darwin": "macOS", "win32": "Windows"}.get(system, system)
    text = f"{name} {platform.release()}, {platform.machine()}, Python {platform.python_version()}"
    if system == "linux":
        yield Condition("platform", "ok", text)
    else:
        text += "; expected Linux 5.13 or newer, whose kernel jails the workers"
        in_it = "Run the gate in its container (docs/how-to/container.md):"
        yield Condition("platform", "wrong", text, in_it, IN_A_CONTAINER)


def jail(least: Literal["full", "partial", "none"], system: str = sys.platform) -> Iterator[Condition]:
    """Yield how far a worker can be jailed here, against what the policy asks for."""
    if system != "linux":
        yield Condition("jail", "wrong", "there is none on this platform", "As for the platform.")
        return
    from gate.jail.entry import probe  # noqa: PLC0415  # loads the C library's calls, which other platforms lack

    found = probe()
    if found.at_least(least):
        yield Condition("jail", "ok", f"isolation {found}")
    else:
        kernel = "Use Linux 5.13 or newer with Landlock and seccomp (docs/reference/jail.md)"
        mend = f"{kernel}, or run the gate in its container:"
        yield Condition("jail", "wrong", f"isolation {found}; the policy asks for {least}", mend, IN_A_CONTAINER)


def engine() -> Iterator[Condition]:
    """Yield which container engine there is; none is needed where the gate runs on Linux."""
    found = next((f"{name} at {path}" for name in ("docker", "podman") if (path := shutil.which(name))), "")
    none = "neither docker nor podman; not needed on Linux"
    yield Condition("container engine", "ok" if found else "unused", found or none)


def disk(report_dir: Path) -> Iterator[Condition]:
    """Yield whether there is room for a model and its reports, and whether reports can be written."""
    for name, path, mend in (
        ("disk, temporary", Path(tempfile.gettempdir()), "Free some, or use a larger disk:"),
        ("disk, reports", report_dir, "Name a folder that can be written:"),
    ):
        command = "export TMPDIR=/path/on/a/larger/disk" if name.endswith("temporary") else "export GATE_REPORT_DIR=out"
        here = next(p for p in (path.absolute(), *path.absolute().parents) if p.exists())
        if why := unwritable(here):
            yield Condition(name, "wrong", f"{path} cannot be written: {why}", mend, command)
            continue
        free = shutil.disk_usage(here).free
        if free < _ROOM:
            text = f"{free / 2**30:.1f} GiB free at {here}; expected {_ROOM >> 30}"
            yield Condition(name, "wrong", text, mend, command)
        else:
            yield Condition(name, "ok", f"{free / 2**30:.0f} GiB free at {here}")


def unwritable(here: Path) -> str:
    """Return why nothing can be written in a folder; a nameless file is tried, since permissions tell too little."""
    if not here.is_dir():
        return f"{here} is no folder"
    try:
        with tempfile.TemporaryFile(dir=here):
            return ""
    except OSError as error:
        return str(error.strerror)


def clocks(theirs: dt.datetime | None, ours: dt.datetime) -> Iterator[Condition]:
    """Yield whether this clock and the registry's agree; `theirs` is None where there is no server to ask."""
    if theirs is None:
        yield Condition("clock", "unused", f"{ours:%Y-%m-%d %H:%M} UTC; no server says another")
        return
    apart = abs(theirs - ours)
    later = "ahead" if theirs > ours else "behind"
    text = f"{ours:%Y-%m-%d %H:%M} UTC; the registry's is {apart.total_seconds():.0f} s {later}"
    if apart > MOST_SKEW:
        text += f"; expected {MOST_SKEW.total_seconds():.0f} at most, since what is signed is dated"
        yield Condition("clock", "wrong", text, "Set the clock that is wrong; here:", "sudo timedatectl set-ntp true")
    else:
        agree = f"{ours:%Y-%m-%d %H:%M} UTC, as the registry's"
        yield Condition("clock", "ok", text if apart > _SHOWN_SKEW else agree)
