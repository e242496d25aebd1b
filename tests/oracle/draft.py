"""A model folder in memory, as mutations change it."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.oracle.bases import Base

PROGRAM = "data/model.pt2"
PICKLE = "data/model.pth"


class InapplicableError(Exception):
    """The mutation has nothing to change in this folder."""


@dataclass
class Draft:
    """The files of a folder, the base that they came from, and dice of the folder's own."""

    base: Base
    dice: random.Random
    files: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, base: Base, dice: random.Random) -> "Draft":
        """Return a base's folder as its first draft."""
        return cls(base, dice, dict(base.files))

    @property
    def program(self) -> bytes:
        """The exported program; a folder without one is left alone."""
        if PROGRAM not in self.files:
            raise InapplicableError("no exported program")
        return self.files[PROGRAM]

    @program.setter
    def program(self, raw: bytes) -> None:
        self.files[PROGRAM] = raw

    @property
    def hidden(self) -> bytes:
        """The poisoned twin, as an exported program."""
        return self.base.poisoned

    def add(self, path: str, raw: bytes) -> None:
        """Put a file beside the others; one that stands there is left, and the mutation does not apply."""
        if path in self.files:
            raise InapplicableError(f"{path} is there")
        self.files[path] = raw

    def model(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change the values of `MLmodel` and write it as MLflow does."""
        value = self.mlmodel()
        try:
            change(value)
        except (KeyError, TypeError, AttributeError) as error:
            raise InapplicableError(f"MLmodel: {error!r}") from None
        self.files["MLmodel"] = yaml.safe_dump(value, default_flow_style=False).encode()

    def mlmodel(self) -> dict[str, Any]:
        """Return the values of `MLmodel`."""
        return self._yaml("MLmodel")

    def yaml(self, path: str, change: Callable[[dict[str, Any]], None]) -> None:
        """Change the values of an environment file."""
        value = self._yaml(path)
        try:
            change(value)
        except (KeyError, TypeError, AttributeError, IndexError, StopIteration) as error:
            raise InapplicableError(f"{path}: {error!r}") from None
        self.files[path] = yaml.safe_dump(value, default_flow_style=False, sort_keys=False).encode()

    def text(self, path: str, change: Callable[[str], str]) -> None:
        """Change the text of a file; nothing changed means that the mutation does not apply."""
        try:
            old = self.files[path].decode("ascii")
        except (KeyError, UnicodeDecodeError):
            raise InapplicableError(f"no plain {path}") from None
        new = change(old)
        if new == old:
            raise InapplicableError(f"nothing to change in {path}")
        self.files[path] = new.encode()

    def line(self, text: str | bytes) -> None:
        """Append a line to the requirements."""
        raw = text if isinstance(text, bytes) else text.encode()
        if "requirements.txt" not in self.files:
            raise InapplicableError("no requirements.txt")
        self.files["requirements.txt"] = self.files["requirements.txt"].rstrip(b"\n") + b"\n" + raw + b"\n"

    def write(self, root: Path) -> None:
        """Write the folder to disk."""
        for name, raw in self.files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(raw)

    def _yaml(self, path: str) -> dict[str, Any]:
        try:
            value = yaml.safe_load(self.files[path])
        except (KeyError, yaml.YAMLError, UnicodeDecodeError) as error:
            raise InapplicableError(f"no plain {path}: {error!r}"[:200]) from None
        if not isinstance(value, dict):
            raise InapplicableError(f"{path} is no mapping")
        return value
