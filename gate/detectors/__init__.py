"""The folder is the registry: a file is one detector with its id as name, except `contract` and `inversion`.

`names()` lists them without importing any; `load(id)` imports exactly one, so that a scan of files never imports torch.
"""

import importlib
import pkgutil
from typing import Any

from gate.detectors.contract import Detector
from gate.records.errors import UsageError


def names() -> tuple[str, ...]:
    """Return the ids of all detectors, sorted."""
    found = {module.name for module in pkgutil.iter_modules(__path__)} - {"contract", "inversion"}
    return tuple(sorted(name.replace("_", "-") for name in found))


def load(detector_id: str) -> Detector[Any]:
    """Import one detector by its id; an unknown id is a `UsageError` that lists the known ones."""
    if detector_id not in names():
        raise UsageError(f"unknown detector {detector_id!r}; expected one of {', '.join(names())}")
    module = importlib.import_module(f"gate.detectors.{detector_id.replace('-', '_')}")
    detector = module.DETECTOR
    if not isinstance(detector, Detector) or detector.id != detector_id:
        raise UsageError(f"gate/detectors/{module.__name__} does not define the detector {detector_id!r}")
    return detector


def by_inversion() -> tuple[Detector[Any], ...]:
    """Return the detectors that invert triggers of a family, the most specific family first."""
    found = [(detector.family.specificity, detector) for detector in map(load, names()) if detector.family]
    return tuple(detector for _, detector in sorted(found, key=lambda pair: -pair[0]))
