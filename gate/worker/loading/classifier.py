"""The two classifiers that a candidate becomes, and what is said of the numbers that one takes."""

import torch

from gate.programs.numbers import HALVES
from gate.worker.loading.module_classifier import ModuleClassifier
from gate.worker.loading.program_classifier import ProgramClassifier

Examined = ProgramClassifier | ModuleClassifier


def number_type(classifier: Examined) -> str:
    """Return in words what a model takes that is no float32; nothing where it is."""
    dtype = classifier.preprocessing.dtype
    if dtype == torch.float32:
        return ""
    named = str(dtype).removeprefix("torch.")
    if dtype in HALVES:
        return f"{named}, measured as it is; a float32 copy lends gradients"
    return f"{named}, measured as it is" if dtype.is_floating_point else f"{named}, given as rounded floats"
