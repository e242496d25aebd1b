"""The grammar that a model's flavour has: of a pipeline that is examined, or of bytes that a policy judges alone."""

from collections.abc import Collection

from gate.formats.adapters.places import FLAVOUR as ADAPTER
from gate.formats.adapters.places import place_of
from gate.formats.huggingface.flavour import task_of
from gate.formats.language.places import FLAVOUR as LANGUAGE
from gate.formats.language.places import is_logged
from gate.formats.mlmodel import MLmodel
from gate.formats.other_flavours import Flavour, flavour_of


def grammar_of(model: MLmodel, known: Collection[str]) -> Flavour | None:
    """Return the grammar of a model's one flavour; None for pytorch, and for one that is not among the `known`."""
    if place_of(model, ()) is not None:
        return ADAPTER
    if is_logged(model):
        return LANGUAGE
    task = task_of(model)
    return flavour_of(model, known) if task is None else task.flavour
