"""Counts files that are missing, surplus, misnamed, damaged or not what their ending says.

Measures  missing-files: declared in MLmodel or in an index of weights, and absent. irregular-files: links and special
          files. odd-names: control characters, traversal, names that collide. unexpected-files: files that no supported
          MLflow writes for the flavour. unjudged-files: text beside the model that no loader reads.
          mismatched-formats: first bytes that contradict the ending. damaged-archives: zips, also inside zips, that two
          readers could read differently, with contradictory headers or wrong checksums.
Matters   Attacks on loaders use files that nobody expects and archives that two readers read differently.
Blind to  What well-formed, expected files contain; the other detectors on bytes look at that.
See       CVE-2025-1889, CVE-2025-1944, CVE-2025-1945 and CVE-2025-10156: each hid a pickle in a name or a damaged zip.
"""

import os
import posixpath
from collections.abc import Iterator
from itertools import chain
from pathlib import Path, PurePosixPath

from gate.detectors.contract import Detector, Need
from gate.formats.adapters import places as adapters
from gate.formats.adapters.adapter import mlmodel_of
from gate.formats.carried import ABSENT
from gate.formats.expected import mismatch
from gate.formats.flavours import grammar_of
from gate.formats.hazards import Hazard, each_file, measurements
from gate.formats.language import places as languages
from gate.formats.language.whole import is_language
from gate.formats.mlflow_folder import MAX_INERT_BYTES, is_inert, unexpected_files
from gate.formats.mlmodel import MAX_BYTES, MLmodel, read_mlmodel
from gate.formats.names import collisions, odd_name
from gate.formats.other_flavours import KnownFlavour
from gate.formats.source import Bounds, Source, UnreadableError, open_source
from gate.formats.zip_members import DEFLATED, STORED, content_fault, member_source
from gate.formats.zips import is_zip, read_zip
from gate.records.artifact import IGNORED, Artifact
from gate.records.declarations import Metric, Options
from gate.records.errors import GateError
from gate.records.evidence import Measurement
from gate.records.record import parse_json
from gate.records.run import Run
from gate.spaces.contract import EVERY
from gate.spaces.subject import Subject

_MAX_INDEX = 32 << 20


class ArtifactIntegrity(Options):
    """Settings of the checks."""

    expect_mlmodel: bool = True
    """Whether the folder must be an MLflow model; else a missing `MLmodel` does not count."""
    verify_checksums: bool = True
    """Whether the checksums within archives are verified."""
    flavours: tuple[KnownFlavour, ...] = ()
    """Flavours with known files beside pytorch, for a policy that judges files alone."""


def measure(subject: Subject, options: ArtifactIntegrity, run: Run) -> Iterator[Measurement]:
    """Yield the counts of files that are not as declared, file by file."""
    artifact = subject.artifact
    paths = tuple(file.path for file in artifact.manifest.files)
    bounds = Bounds(tick=run.check_time)
    declared = mlmodel_of(artifact.root)
    flavour = grammar_of(declared, options.flavours) if declared is not None else None

    def examine(path: str, source: Source) -> Iterator[Hazard]:
        run.check_time()
        if is_inert(path) and source.size > MAX_INERT_BYTES:
            yield Hazard("unexpected-files", path, f"a text beside the model of more than {MAX_INERT_BYTES >> 20} MiB")
        elif is_inert(path):
            yield Hazard("unjudged-files", path, "text that no loader reads; it was not judged")
        if what := mismatch(path, source):
            yield Hazard("mismatched-formats", path, what)
        if is_zip(source):
            yield from _damage(path, source, bounds, options)

    hazards = chain(
        _missing(artifact, frozenset(paths), options),
        _irregular(artifact),
        (Hazard("unexpected-files", path, why) for path, why in unexpected_files(paths, declared, flavour)),
        (Hazard("unexpected-files", path, why) for path, why in _alone(artifact.root, declared, paths)),
        (Hazard("odd-names", path, what) for path in paths for what in odd_name(path)),
        (Hazard("odd-names", path, "the same name as another but for case") for path in collisions(paths)),
        each_file(artifact, examine, "damaged-archives"),
    )
    yield from measurements(hazards, (metric.id for metric in DETECTOR.metrics))


def _alone(root: Path, declared: MLmodel | None, paths: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield each file beside an adapter or language model without `MLmodel` that no writer of it writes, and why."""
    if declared is not None:
        return iter(())
    if adapters.place_of(None, paths) is not None:
        return adapters.surplus_alone(paths)
    return languages.surplus_alone(paths) if is_language(root, None, paths) else iter(())


def _missing(artifact: Artifact, present: frozenset[str], options: ArtifactIntegrity) -> Iterator[Hazard]:
    """Yield what `MLmodel` and the indexes of weights declare and the artifact does not contain."""
    folders = {str(parent) for path in present for parent in PurePosixPath(path).parents}
    declared: list[tuple[str, str]] = []
    if "MLmodel" not in present and options.expect_mlmodel:
        yield Hazard("missing-files", "MLmodel", ABSENT)
    for path in sorted(present):
        try:
            if path == "MLmodel" or path.endswith(".index.json"):
                with open_source(artifact.root / path) as source:
                    declared.extend((path, item) for item in _declared(path, source))
        except UnreadableError as error:
            yield Hazard("missing-files", path, f"what it declares cannot be read: {error}")
    for path, item in dict.fromkeys(declared):
        place = posixpath.normpath(posixpath.join(posixpath.dirname(path), item))
        if place.startswith(("/", "..")) or (place not in present and place not in folders):
            yield Hazard("missing-files", path, f"declares {item!r}")


def _declared(path: str, source: Source) -> Iterator[str]:
    """Yield the paths that an `MLmodel` or an index of weights names."""
    if path == "MLmodel":
        yield from map(str, read_mlmodel(source.whole(MAX_BYTES, path)).paths())
        return
    try:
        index = parse_json(source.whole(_MAX_INDEX, path), what=path, limit=_MAX_INDEX)
    except GateError as error:
        raise UnreadableError(str(error)) from None
    weights = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weights, dict):
        raise UnreadableError("an index without a weight_map")
    yield from map(str, weights.values())


def _irregular(artifact: Artifact) -> Iterator[Hazard]:
    """Yield links, special files and files that the manifest does not list, although building it refuses them."""
    listed = {file.path for file in artifact.manifest.files}
    for directory, names, files in os.walk(artifact.root, followlinks=False):
        for name in (*names, *files):
            path = Path(directory) / name
            relative = path.relative_to(artifact.root).as_posix()
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                yield Hazard("irregular-files", relative, "a link or a special file")
            elif path.is_file() and relative not in listed and relative not in IGNORED:
                yield Hazard("irregular-files", relative, "not in the manifest")


def _damage(
    path: str, source: Source, bounds: Bounds, options: ArtifactIntegrity, inside: str = "", depth: int = 0
) -> Iterator[Hazard]:
    """Yield faults of a zip archive's layout, headers and checksums, and of the zips inside it."""
    if depth >= bounds.max_depth:
        yield Hazard("damaged-archives", path, f"{inside}more than {bounds.max_depth} archives inside each other")
        return
    archive = read_zip(source, bounds)
    for fault in archive.faults:
        yield Hazard("damaged-archives", path, f"{inside}{fault}")
    spent, limit = 0, source.size + bounds.max_inflated_bytes
    for member in archive.members:
        spent += member.compressed_size
        if spent > limit:
            yield Hazard("damaged-archives", path, f"{inside}its members hold more than {limit} bytes, over and over")
            return
        for what in odd_name(member.name.removesuffix("/")):
            yield Hazard("odd-names", path, f"{inside}member {member.name!r}: {what}")
        if member.method not in (STORED, DEFLATED):
            what = f"{inside}member {member.name!r} is compressed by method {member.method}"
            yield Hazard("damaged-archives", path, what)
            continue
        try:
            content = member_source(source, member, bounds.max_inflated_bytes, bounds.budget)
            fault = content_fault(source, member, bounds)
        except UnreadableError as error:
            yield Hazard("damaged-archives", path, f"{inside}member {member.name!r}: {error}")
            continue
        if fault and options.verify_checksums:
            yield Hazard("damaged-archives", path, f"{inside}member {member.name!r}: {fault}")
        if is_zip(content):
            yield from _damage(path, content, bounds, options, f"{inside}{member.name}: ", depth + 1)


DETECTOR = Detector(
    id="artifact-integrity",
    title="Files that are not as declared",
    doing="files that are not as declared",
    needs=Need.FILES,
    spaces=EVERY,
    before_loading=True,
    metrics=(
        Metric("missing-files", "files", "higher", "Files that the artifact declares and does not contain."),
        Metric("irregular-files", "files", "higher", "Links, special files and files outside the manifest."),
        Metric("odd-names", "names", "higher", "File names that different systems take for different things."),
        Metric("unexpected-files", "files", "higher", "Files that no supported MLflow writes for the flavour."),
        Metric("unjudged-files", "files", "neither", "Texts, such as a licence, that no loader reads."),
        Metric("mismatched-formats", "files", "higher", "Files whose first bytes contradict their ending."),
        Metric("damaged-archives", "faults", "higher", "Damage of zip archives, or two readings of them."),
    ),
    options=ArtifactIntegrity,
    measure=measure,
)
