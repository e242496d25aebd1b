"""What the tests of repairs share: a committed model with its planted trigger, quick options, and no search."""

from dataclasses import replace

import torch

from gate.programs import read_program
from gate.records.evidence import Location
from gate.records.run import Run
from gate.spaces.image.preprocessing import Preprocessing
from gate.spaces.subject import Samples, Trigger
from gate.worker.repair.contract import Material

BOUNDS = (0.0, 1.0)
RUN = Run(seed=3, max_batch=512)
QUICK = {
    "trigger-unlearning": {"steps": 3},
    "sharpness-aware-tuning": {"steps": 3},
}


def program_of(model):
    """Return a committed model's program."""
    return read_program(model.path)


def samples_of(images, labels=True):
    """Return images as the gate's samples."""
    return Samples(images.inputs, images.labels if labels else None, "tests")


def planted(model):
    """Return the planted trigger as an inversion would hand it on, by its target; its family is told as additions."""
    place = Location.of_class(model.targets[0])
    return {place: Trigger(place, 1.0, model.trigger, {"addition": torch.zeros(1, 28, 28)})}


def success(program, model, images):
    """Return the share of images of other classes that a program takes for the target under the planted trigger."""
    (target,) = model.targets
    others = images.take(images.labels != target)
    return float((program(model.trigger(others.inputs)).argmax(1) == target).float().mean())


def material(model, images, **changes):
    """Return what a method gets."""
    whole = Material(program_of(model), Preprocessing(), BOUNDS, samples_of(images), planted(model))
    return replace(whole, **changes)
