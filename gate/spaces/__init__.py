"""Input spaces: what a sample, a trigger and a picture are; `subject` is what a detector looks at.

`load(id)` imports one space with its readers, which the orchestrator, without NumPy, must not.
"""

import importlib
from typing import Any, Final

from gate.records.declarations import Space
from gate.spaces.contract import InputSpace

_FOLDERS: Final[dict[Space, str]] = {"images": "image", "tokens": "text"}


def load(space: Space) -> InputSpace[Any]:
    """Import a space by its id."""
    found: InputSpace[Any] = importlib.import_module(f"{__name__}.{_FOLDERS[space]}.space").SPACE
    return found
