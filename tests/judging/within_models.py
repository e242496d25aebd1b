"""Clean models of other tasks and outcomes to be compared with them, without a scan."""

import random

from gate.judging.calibration.within import CleanModel, CleanModels
from gate.policies.declared import digest_of
from gate.records.comparison import OneNumber
from gate.records.evidence import Location, Measured, Measurement

SIZE = OneNumber(detector="neural-cleanse", metric="size", worse="lower", by="log")
MARGIN = OneNumber(detector="maximum-margin", metric="margin", worse="higher", by="log")
INDICATOR = OneNumber(detector="head-indicators", metric="indicator", worse="higher", by="linear")
COMPARED = (SIZE, MARGIN, INDICATOR)
OPTIONS = {"neural-cleanse": {"steps": 20}, "maximum-margin": {}, "head-indicators": {}}


def clean_model(size, margin, indicator, classes=10):
    """Return a clean model of the three numbers; None leaves one out."""
    named = zip(COMPARED, (size, margin, indicator), strict=True)
    numbers = {one.detector: {one.metric: number} for one, number in named if number is not None}
    return CleanModel(task="task", classes=classes, numbers=numbers)


def clean_models(models, compared=COMPARED):
    """Return such models as the file that comes with the gate."""
    settings = {name: digest_of(name, options) for name, options in OPTIONS.items()}
    return CleanModels(made_of="made-up models", compared=compared, settings=settings, models=tuple(models))


def drawn(count, classes=10, seed=0):
    """Return clean models whose numbers are drawn about those of `outcomes()`."""
    draw = random.Random(seed)
    return [clean_model(draw.gauss(0.3, 0.2), draw.gauss(1, 0.4), draw.gauss(1, 0.5), classes) for _ in range(count)]


def measured(one, values):
    """Return an outcome with a value of each class."""
    found = (Measurement(metric=one.metric, value=v, location=Location.of_class(k)) for k, v in enumerate(values))
    return Measured(measurements=tuple(found), seconds=1, options=OPTIONS[one.detector])


def outcomes(sizes=(30.0,) * 9 + (22.0,), margins=(0.1,) * 9 + (0.25,), indicators=(0.0,) * 9 + (1.0,)):
    """Return the outcomes of an ordinary candidate, but for the changes; None leaves one out."""
    named = zip(COMPARED, (sizes, margins, indicators), strict=True)
    return {one.detector: measured(one, values) for one, values in named if values is not None}
