"""Payloads that do nothing but leave a marker in the folder that the environment names."""

import os
from pathlib import Path

from tests.corpus.pickles import call, text

MARKERS = "ORACLE_MARKERS"
"""The variable that names the folder; a payload that runs where it is not set leaves nothing."""
CANARY = "ORACLE_CANARY"
"""A variable of the deployer's environment; a requirement that holds its value was filled in by an installer."""
CANARY_VALUE = "charger-canary"


def pickled(name: str) -> bytes:
    """Return a pickle that runs a command, which leaves the marker."""
    return call("posix", "system", text(f'touch "${MARKERS}/{name}"'))


def source(name: str) -> bytes:
    """Return Python that leaves the marker when it is imported."""
    return f"import os, pathlib\npathlib.Path(os.environ['{MARKERS}'], '{name}').touch()\n".encode()


def expression(name: str) -> str:
    """Return an expression that leaves the marker when it is evaluated."""
    return f"__import__('pathlib').Path(__import__('os').environ['{MARKERS}'], '{name}').touch()"


def prepare(folder: Path) -> None:
    """Name an empty folder for markers and set the canary, in this process's environment."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ[MARKERS] = str(folder)
    os.environ[CANARY] = CANARY_VALUE


def left(folder: Path) -> list[str]:
    """Return the markers that were left, and take them away."""
    found = sorted(path.name for path in folder.iterdir())
    for name in found:
        (folder / name).unlink()
    return found
