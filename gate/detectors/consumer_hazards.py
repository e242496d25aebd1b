"""Counts what would make a deployer's loader run, import or install something of the artifact's choice.

Measures  code-paths: code that MLmodel puts on the import path or runs. foreign-loaders: loaders, flavours, pickle
          modules and trusted types that are not MLflow's own. foreign-requirements: requirements from URLs, paths,
          options and unknown channels. archive-hazards: fields of exported programs that a loader evaluates, executes
          or unpickles. unreadable-files: such files that cannot be parsed.
Matters   The gate's reader ignores these, the deployer's does not: an artifact can pass every look at its weights and
          still run code where it is served.
Blind to  A plainly named requirement that is itself malicious, and loaders other than MLflow's and torch's.
See       MLflow's security notes on loading models; torch.export.load's own warning; GHSA-wm54-77rw-968c and
          GHSA-w582-9x45-8mpx.
"""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from pydantic import Field

from gate.detector import Detector, Metric, Need, Options, Run
from gate.evidence import Measurement
from gate.formats.files import each_file
from gate.formats.flavours import FLAVOURS, LOADERS, PICKLE_MODULES
from gate.formats.hazards import Hazard, measurements
from gate.formats.mlmodel import MAX_BYTES, MLmodel, read_mlmodel
from gate.formats.pickle_names import TENSOR_NAMES
from gate.formats.pickle_search import Blocked, find_pickles
from gate.formats.pt2 import is_pt2, pt2_hazards
from gate.formats.requirements import foreign_in_file
from gate.formats.source import Bounds, Source, UnreadableError
from gate.formats.zips import Archive, is_zip, member_source, read_zip
from gate.subject import Subject

_MODULE_INFO = "pickle_module_info.txt"
_ENVIRONMENTS = frozenset({"conda.yaml", "constraints.txt", "python_env.yaml", "requirements.txt"})
_MAX_MODULE_NAME = 200


class ConsumerHazards(Options):
    """What a deployer's loader may be asked for."""

    allowed_loaders: tuple[str, ...] = ()
    """Further values of `loader_module` that are known to run nothing of the artifact's."""
    allowed_flavours: tuple[str, ...] = ()
    max_opcodes: int = Field(default=2_000_000, ge=1)


def measure(subject: Subject, options: ConsumerHazards, run: Run) -> Iterator[Measurement]:
    """Yield the counts of hazards, file by file."""
    bounds = Bounds(max_opcodes=options.max_opcodes, tick=run.check_time)

    def examine(path: str, source: Source) -> Iterator[Hazard]:
        run.check_time()
        name = PurePosixPath(path).name
        if name == "MLmodel":
            yield from _model_file(path, read_mlmodel(source.whole(MAX_BYTES, name)), options)
        elif name == _MODULE_INFO:
            yield from _pickle_module(path, source.whole(MAX_BYTES, name).decode("utf-8", "backslashreplace"))
        elif name in _ENVIRONMENTS or ("requirements" in name and name.endswith(".txt")):
            for line in foreign_in_file(path, source.whole(MAX_BYTES, name)):
                yield Hazard("foreign-requirements", path, line)
        elif is_zip(source):
            archive = read_zip(source, bounds)
            if is_pt2(archive):
                yield from _exported(path, source, archive, bounds)

    yield from measurements(
        each_file(subject.artifact, examine, "unreadable-files"), (metric.id for metric in DETECTOR.metrics)
    )


def _model_file(path: str, model: MLmodel, options: ConsumerHazards) -> Iterator[Hazard]:
    """Yield what `MLmodel` asks a loader to import or run."""
    for key, value in model.code():
        yield Hazard("code-paths", path, f"{key}: {value}")
    for flavour in sorted(set(model.flavors) - FLAVOURS - set(options.allowed_flavours)):
        yield Hazard("foreign-loaders", path, f"flavour {flavour!r}")
    for name, flavor in model.flavors.items():
        yield from _flavour(path, name, flavor, options)


def _flavour(path: str, name: str, flavor: Any, options: ConsumerHazards) -> Iterator[Hazard]:
    """Yield the hazards of one flavour's settings."""
    loader = flavor.get("loader_module")
    unnamed = name == "python_function" and loader is None
    if unnamed or (loader is not None and loader not in (*LOADERS, *options.allowed_loaders)):
        yield Hazard("foreign-loaders", path, f"{name}.loader_module: {loader}")
    for key in ("pickle_module_name", "pickle_module"):
        if flavor.get(key) is not None and str(flavor[key]) not in PICKLE_MODULES:
            yield Hazard("foreign-loaders", path, f"{name}.{key}: {flavor[key]}")
    if flavor.get("skops_trusted_types"):
        yield Hazard("foreign-loaders", path, f"{name}.skops_trusted_types: {flavor['skops_trusted_types']}")
    if flavor.get("trust_remote_code"):
        yield Hazard("foreign-loaders", path, f"{name}.trust_remote_code: {flavor['trust_remote_code']}")
    for key in ("python_model", "streamable_model"):
        if flavor.get(key):
            yield Hazard("foreign-loaders", path, f"{name}.{key}: {flavor[key]}")
    if flavor.get("env_manager") not in (None, "local"):
        yield Hazard("foreign-requirements", path, f"{name}.env_manager: {flavor['env_manager']}")


def _pickle_module(path: str, text: str) -> Iterator[Hazard]:
    if text.strip() not in PICKLE_MODULES:
        yield Hazard("foreign-loaders", path, f"pickle module {text[:_MAX_MODULE_NAME]!r}")


def _exported(path: str, source: Source, archive: Archive, bounds: Bounds) -> Iterator[Hazard]:
    """Yield the hazards of an exported program, its sample inputs among them."""
    try:
        for what in pt2_hazards(source, archive, bounds):
            yield Hazard("archive-hazards", path, what)
    except UnreadableError as error:
        yield Hazard("unreadable-files", path, str(error))
    for member in archive.members:
        if "sample_inputs" not in member.name:
            continue
        unpacked = member_source(source, member, bounds.max_inflated_bytes, bounds.budget)
        for found in find_pickles(unpacked, member.name, bounds):
            if isinstance(found, Blocked):
                yield Hazard("unreadable-files", path, f"{found.where}: {found.why}")
                continue
            names = [f"{module}.{name}" for module, name in found.walk.names if (module, name) not in TENSOR_NAMES]
            for what in [*names, *(["a computed name"] if found.walk.unresolved else []), found.walk.fault]:
                if what:
                    yield Hazard("archive-hazards", path, f"{found.where}: {what}")


DETECTOR = Detector(
    id="consumer-hazards",
    title="What a deployer's loader would run",
    needs=Need.FILES,
    metrics=(
        Metric("code-paths", "entries", "higher", "Code that MLmodel puts on the import path or has run."),
        Metric(
            "foreign-loaders", "entries", "higher", "Loaders, flavours and pickle modules that are not MLflow's own."
        ),
        Metric("foreign-requirements", "lines", "higher", "Requirements that are installed from elsewhere."),
        Metric(
            "archive-hazards", "fields", "higher", "Fields of exported programs that a loader would run or unpickle."
        ),
        Metric("unreadable-files", "files", "higher", "Such files that could not be parsed."),
    ),
    options=ConsumerHazards,
    measure=measure,
)
