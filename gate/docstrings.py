"""The four parts of a detector's docstring (*Measures, Matters, Blind to, See*), for reports and `gate explain`."""

import importlib
import inspect
import re

PARTS = ("Measures", "Matters", "Blind to", "See")
_HEADING = re.compile(rf"^({'|'.join(PARTS)})\s+", flags=re.MULTILINE)


def summary(module_name: str) -> str:
    """Return the first paragraph of a module's docstring in one line."""
    return " ".join(_docstring(module_name).split("\n\n", maxsplit=1)[0].split())


def parts(module_name: str) -> dict[str, str]:
    """Return the parts by name, each in one line; a docstring without one of them raises ValueError."""
    pieces = _HEADING.split(_docstring(module_name))
    found = {name: " ".join(text.split()) for name, text in zip(pieces[1::2], pieces[2::2], strict=True)}
    if missing := [name for name in PARTS if name not in found]:
        raise ValueError(f"the docstring of {module_name} has no part {missing[0]!r}")
    return found


def _docstring(module_name: str) -> str:
    return inspect.getdoc(importlib.import_module(module_name)) or ""
