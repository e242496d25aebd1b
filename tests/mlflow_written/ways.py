"""Ways in which people save a PyTorch model with MLflow: how they are registered, and what the folder then holds.

`code-free`: the gate may read it without the candidate's code. `carries-code`: loading it runs code that the trainer
brought. `no-model`: MLflow wrote it, and it is no MLflow model.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import desk as desks

BROUGHT = "brought"
EXTRA = "extra"
BOTH = ("pickle", "pt2")
CODE = {"holds": "carries-code"}


@dataclass(frozen=True)
class Way:
    """One way of saving, in one format."""

    name: str
    form: str
    do: object
    how: str
    holds: str
    because: tuple
    """Why it carries code, by the gate's words: class, code-path, script, extra-code."""


WAYS = []


def way(*forms, holds="code-free", because=(), where=True):
    """Register a function as a way of saving, for each of the formats that this release writes.

    An exported program has no classes, whatever network it came from.
    """

    def register(function):
        for form in forms:
            if where and (form != "pt2" or desks.EXPORTS):
                name = f"{form}-{function.__name__.replace('_', '-')}"
                reasons = tuple(reason for reason in because if (form, reason) != ("pt2", "class"))
                kept = "code-free" if because and not reasons else holds
                WAYS.append(Way(name, form, function, function.__doc__, kept, reasons))
        return function

    return register


def lay_out(sources):
    """Put what the trainer brings into the working folder."""
    shutil.copytree(Path(sources) / BROUGHT, BROUGHT, ignore=shutil.ignore_patterns("__pycache__"))
    Path(EXTRA).mkdir()
    Path(EXTRA, "LICENSE").write_text("Anyone may use this model.\n")
    Path(EXTRA, "classes.txt").write_text("zero\none\ntwo\nthree\n")
