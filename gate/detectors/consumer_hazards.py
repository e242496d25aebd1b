"""Counts what would make a deployer's loader run, import or install something of the artifact's choice.

Measures  code-paths: code that MLmodel puts on the import path or runs. foreign-loaders: flavours, loaders, keys and
          values of MLmodel, of pipelines' and adapters' configurations, of tokenizers and pickle modules, that no
          supported MLflow or PEFT writes. foreign-requirements: lines of an environment that are no listed package with
          its version. unpinned-requirements: names without a version. archive-hazards: fields of exported programs that
          a loader evaluates, executes or unpickles, and members of torch archives that are longer than their tensors or
          belong to none. unreadable-files: such files that cannot be parsed.
Matters   The gate's reader ignores these, the deployer's does not: an artifact can pass every inspection of its weights
          and still run code where it is served.
Blind to  A version of a listed package that is itself malicious, and loaders other than MLflow's and torch's.
See       MLflow's security notes on loading models; torch.export.load's own warning; GHSA-wm54-77rw-968c and
          GHSA-w582-9x45-8mpx.
"""

from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path, PurePosixPath

from pydantic import Field

from gate.detectors.contract import Detector, Need
from gate.formats.adapters.adapter import adapter_faults, mlmodel_of
from gate.formats.adapters.places import place_of
from gate.formats.flavours import grammar_of
from gate.formats.hazards import Hazard, each_file, measurements
from gate.formats.huggingface.flavour import task_of
from gate.formats.huggingface.pipeline import pipeline_faults
from gate.formats.language.places import place_of as language_place
from gate.formats.language.whole import is_language, language_faults
from gate.formats.mlflow_folder import ENVIRONMENTS, TOKENIZER
from gate.formats.mlflow_model import EXAMINED, PICKLE_MODULES, Foreign, Kind, foreign_entries
from gate.formats.mlmodel import MAX_BYTES, MLmodel, read_mlmodel
from gate.formats.other_flavours import KnownFlavour, foreign_to, unknown_flavours
from gate.formats.pickle_names import TENSOR_NAMES
from gate.formats.pickle_search import Blocked, find_pickles
from gate.formats.pt2 import is_pt2, pt2_hazards
from gate.formats.requirements import odd_in_file
from gate.formats.source import Bounds, Source, UnreadableError
from gate.formats.tokenizers.file import MAX_BYTES as MAX_TOKENIZER
from gate.formats.tokenizers.file import read_tokenizer
from gate.formats.torch_zips import is_torch_zip, torch_zip_faults
from gate.formats.zip_members import member_source
from gate.formats.zips import Archive, is_zip, read_zip
from gate.records.artifact import Artifact
from gate.records.declarations import Metric, Options
from gate.records.evidence import Measurement
from gate.records.run import Run
from gate.spaces.contract import EVERY
from gate.spaces.subject import Subject

_MODULES: Mapping[str, tuple[str, ...]] = {"pickle_module_info.txt": PICKLE_MODULES, "keras_module.txt": ("keras",)}
"""Files that name a module which a loader imports, and the names that MLflow writes there."""
_METRICS: Mapping[Kind, str] = {
    "code": "code-paths",
    "loader": "foreign-loaders",
    "environment": "foreign-requirements",
}
_MAX_MODULE_NAME = 200


class ConsumerHazards(Options):
    """What a deployer's loader may import and install."""

    allowed_packages: tuple[str, ...] = ()
    """Further distributions that an environment may name, by their normalised names."""
    flavours: tuple[KnownFlavour, ...] = ()
    """Flavours with known entries beside pytorch, for a policy that judges files alone."""
    max_opcodes: int = Field(default=2_000_000, ge=1)
    """The most opcodes of a pickle that are read; a longer one is unreadable."""


def measure(subject: Subject, options: ConsumerHazards, run: Run) -> Iterator[Measurement]:
    """Yield the counts of hazards, file by file."""
    bounds = Bounds(max_opcodes=options.max_opcodes, tick=run.check_time)

    def examine(path: str, source: Source) -> Iterator[Hazard]:
        run.check_time()
        name = PurePosixPath(path).name
        if name == "MLmodel":
            model = read_mlmodel(source.whole(MAX_BYTES, name))
            for entry in _foreign(model, options.flavours):
                yield Hazard(_METRICS[entry.kind], path, str(entry))
            yield from _pipeline(subject.artifact.root, model)
        elif name in _MODULES or path == TOKENIZER:
            yield from _module(path, name, source) if name in _MODULES else _tokenizer(path, source)
        elif name in ENVIRONMENTS:
            yield from _environment(path, source.whole(MAX_BYTES, name), options)
        elif is_zip(source):
            archive = read_zip(source, bounds)
            if is_pt2(archive):
                yield from _exported(path, source, archive, bounds)
            elif is_torch_zip(archive.members):
                for what in torch_zip_faults(source, archive.members, bounds):
                    yield Hazard("archive-hazards", path, what)

    found = chain(
        each_file(subject.artifact, examine, "unreadable-files"),
        _adapter(subject.artifact),
        _language(subject.artifact),
    )
    yield from measurements(found, (metric.id for metric in DETECTOR.metrics))


def _foreign(model: MLmodel, flavours: tuple[str, ...]) -> Iterator[Foreign]:
    """Yield the entries that the grammar of the model's flavour does not know."""
    flavour = grammar_of(model, flavours)
    if flavour is not None:
        return foreign_to(model, flavour)
    if flavours and EXAMINED not in model.flavors:
        return unknown_flavours(model, flavours)
    return foreign_entries(model)


def _pipeline(root: Path, model: MLmodel) -> Iterator[Hazard]:
    """Yield what in the files of a pipeline of transformers its grammars do not know."""
    task = task_of(model)
    if task is not None:
        yield from (Hazard("foreign-loaders", path, why) for path, why in pipeline_faults(root, model, task))


def _adapter(artifact: Artifact) -> Iterator[Hazard]:
    """Yield what in the files of an adapter of low rank its grammars do not know."""
    place = place_of(mlmodel_of(artifact.root), [file.path for file in artifact.manifest.files])
    if place is not None:
        yield from (Hazard("foreign-loaders", path, why) for path, why in adapter_faults(artifact.root, place))


def _language(artifact: Artifact) -> Iterator[Hazard]:
    """Yield by what in the files of a whole language model two loaders may load other weights."""
    paths = [file.path for file in artifact.manifest.files]
    declared = mlmodel_of(artifact.root)
    place = language_place(declared, paths)
    if place is not None and is_language(artifact.root, declared, paths):
        yield from (Hazard("foreign-loaders", path, why) for path, why in language_faults(artifact.root, place, paths))


def _tokenizer(path: str, source: Source) -> Iterator[Hazard]:
    """Yield why a tokenizer beside a program is not one that the gate reads."""
    try:
        read_tokenizer(source.whole(MAX_TOKENIZER, path))
    except UnreadableError as error:
        yield Hazard("foreign-loaders", path, str(error))


def _environment(path: str, raw: bytes, options: ConsumerHazards) -> Iterator[Hazard]:
    for line in odd_in_file(path, raw, options.allowed_packages):
        yield Hazard("unpinned-requirements" if line.unpinned else "foreign-requirements", path, str(line))


def _module(path: str, name: str, source: Source) -> Iterator[Hazard]:
    text = source.whole(MAX_BYTES, name).decode("utf-8", "backslashreplace")
    if text.strip() not in _MODULES[name]:
        kind = name.partition("_")[0]
        yield Hazard("foreign-loaders", path, f"{kind} module {text[:_MAX_MODULE_NAME]!r}")


def _exported(path: str, source: Source, archive: Archive, bounds: Bounds) -> Iterator[Hazard]:
    """Yield the hazards of an exported program and of its sample inputs."""
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
    doing="what a loader would run",
    needs=Need.FILES,
    spaces=EVERY,
    before_loading=True,
    metrics=(
        Metric("code-paths", "entries", "higher", "Code that MLmodel puts on the import path or runs."),
        Metric("foreign-loaders", "entries", "higher", "Flavours, loaders and keys that MLflow does not write there."),
        Metric("foreign-requirements", "lines", "higher", "Requirements that are no listed package by name."),
        Metric("unpinned-requirements", "lines", "neither", "Packages that are named without a version."),
        Metric("archive-hazards", "fields", "higher", "Parts of archives that a loader runs or no tensor needs."),
        Metric("unreadable-files", "files", "higher", "Such files that could not be parsed."),
    ),
    options=ConsumerHazards,
    measure=measure,
)
