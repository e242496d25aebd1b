"""Counts what pickles in the artifact would import when somebody loads them, by an allow list.

Measures  unsafe-globals: imports that a pickle of tensors does not need, per file. module-globals: imports of layers
          from torch.nn, which make a pickled network, and where the policy says so of library estimators.
          library-globals: the unsafe imports that a network of torchvision, timm or transformers makes, which tells
          what it is and excuses none. unreadable-streams: pickles that are damaged, computed, beyond the bounds or in a
          format that cannot be inspected. Streams are found by content: in zips with any headers, compressed, behind
          array headers, under any name.
Matters   Loading a pickle runs it: whoever ships one needs no backdoor in the weights.
Blind to  What a class does with its state, and pickles inside formats that are not known here.
See       Slaviero, "Sour Pickles", Black Hat USA 2011; torch's weights-only unpickler, whose list this is;
          CVE-2025-1716, CVE-2025-1889, CVE-2025-1944 and CVE-2025-1945.
"""

import io
from collections.abc import Iterator
from itertools import chain

from pydantic import Field

from gate.detectors.contract import Detector, Need
from gate.formats.estimator_names import ESTIMATOR_NAMES
from gate.formats.hazards import Hazard, each_file, measurements
from gate.formats.pickle_names import LAYER_NAMES, TENSOR_NAMES, is_of_a_library
from gate.formats.pickle_search import Blocked, find_pickles
from gate.formats.pickles import PickleWalk
from gate.formats.source import Bounds, Source
from gate.records.declarations import Metric, Options
from gate.records.evidence import Measurement
from gate.records.run import Run
from gate.spaces.contract import EVERY
from gate.spaces.subject import Subject

_SECOND_OPINION_OPCODES = 20_000
"""Beyond this, picklescan's search for computed names would take quadratic time."""


class UnsafePickle(Options):
    """Allowed imports, and bounds of reading."""

    allowed: tuple[str, ...] = ()
    """Further imports, as `module.name`, that do not count at all."""
    allowed_classes: tuple[str, ...] = ()
    """Further classes, as `module.name`, that count as module-globals."""
    estimators: bool = False
    """Whether imports of scikit-learn's and LightGBM's own estimators count as module-globals too."""
    max_opcodes: int = Field(default=2_000_000, ge=1)
    """The most opcodes of a pickle that are read; a longer one is unreadable."""
    max_inflated_bytes: int = Field(default=256 << 20, ge=1)
    """The most bytes to which a compressed stream is unpacked."""


def measure(subject: Subject, options: UnsafePickle, run: Run) -> Iterator[Measurement]:
    """Yield the counts of imports and of unreadable streams, file by file."""
    allowed = TENSOR_NAMES | {_split(name) for name in options.allowed}
    layers = LAYER_NAMES | {_split(name) for name in options.allowed_classes}
    layers |= ESTIMATOR_NAMES if options.estimators else frozenset()
    bounds = Bounds(max_opcodes=options.max_opcodes, max_inflated_bytes=options.max_inflated_bytes, tick=run.check_time)

    def examine(path: str, source: Source) -> Iterator[Hazard]:
        seen: set[tuple[str, str]] = set()
        for found in find_pickles(source, path, bounds):
            if isinstance(found, Blocked):
                yield Hazard("unreadable-streams", path, f"{_inside(found.where)}{found.why}")
                continue
            inside = _inside(found.where)
            yield from _faults(path, inside, found.walk)
            for module, name in chain(found.walk.names, _second_opinion(found.walk)):
                if (module, name) in seen or (module, name) in allowed:
                    continue
                seen.add((module, name))
                metric = "module-globals" if (module, name) in layers else "unsafe-globals"
                yield Hazard(metric, path, f"{inside}{module}.{name}")
                if metric == "unsafe-globals" and is_of_a_library(module, name):
                    yield Hazard("library-globals", path, f"{inside}{module}.{name}")

    yield from measurements(
        each_file(subject.artifact, examine, "unreadable-streams"), (metric.id for metric in DETECTOR.metrics)
    )


def _faults(path: str, inside: str, walk: PickleWalk) -> Iterator[Hazard]:
    if walk.fault:
        yield Hazard("unreadable-streams", path, f"{inside}{walk.fault}")
    for _ in range(min(walk.unresolved, 1000)):
        yield Hazard("unsafe-globals", path, f"{inside}an import whose name is computed while loading")


def _second_opinion(walk: PickleWalk) -> Iterator[tuple[str, str]]:
    """Yield the imports that picklescan finds: its walk and the gate's own must both find nothing."""
    if walk.raw is None or walk.opcodes > _SECOND_OPINION_OPCODES:
        return
    from picklescan.scanner import scan_pickle_bytes

    for found in scan_pickle_bytes(io.BytesIO(walk.raw), "stream", strict=True).globals:
        # It calls names "unknown" that went through the memo; the walk resolves those, or counts them as computed.
        if "unknown" not in (found.module, found.name):
            yield found.module, found.name


def _split(name: str) -> tuple[str, str]:
    module, _, attribute = name.rpartition(".")
    return module, attribute


def _inside(where: str) -> str:
    """Return the place inside the file as the beginning of a note."""
    _, separator, member = where.partition("!")
    return f"{member}: " if separator else ""


DETECTOR = Detector(
    id="unsafe-pickle",
    title="Pickles that run code",
    doing="pickles that run code",
    needs=Need.FILES,
    spaces=EVERY,
    before_loading=True,
    metrics=(
        Metric("unsafe-globals", "imports", "higher", "Imports in pickles that no list allows; each can run code."),
        Metric("unreadable-streams", "streams", "higher", "Pickles that could not be read to their end."),
        Metric("module-globals", "imports", "higher", "Library classes of a pickled network or estimator."),
        Metric("library-globals", "imports", "neither", "Unsafe imports of torchvision, timm or transformers."),
    ),
    options=UnsafePickle,
    measure=measure,
)
