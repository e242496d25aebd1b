"""Repair of a flagged model: one method a file in `methods`, tried by `attempt`, measured by `measuring`.

`load(id)` imports one method and never torch, so a command can list its options without it. Detectors import nothing
here: whether a model is repaired must not change how it is judged.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

from gate.records.errors import UsageError

if TYPE_CHECKING:
    from gate.records.declarations import Space
    from gate.worker.repair.contract import Method

ORDER: Final = ("trigger-unlearning", "word-unlearning", "sharpness-aware-tuning")
"""Ids of the methods in the order in which `auto` tries them: those that leave least of a backdoor, of images and of
tokens, then one that needs no trigger. Each further one that is for the model's kind of input makes it harder for the
repaired model to pass (docs/decisions/0015)."""


def for_space(space: "Space") -> tuple[str, ...]:
    """Return the methods for a kind of input, in their order."""
    return tuple(name for name in ORDER if space in load(name).spaces)


def load(method_id: str) -> "Method[Any]":
    """Import the one method of that id; an unknown id is a `UsageError` that lists the known ones."""
    if method_id not in ORDER:
        raise UsageError(f"unknown repair method {method_id!r:.80}; expected one of {', '.join(ORDER)}")
    module = importlib.import_module(f"gate.worker.repair.methods.{method_id.replace('-', '_')}")
    method: Method[Any] = module.METHOD
    return method
