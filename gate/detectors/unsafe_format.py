"""Counts what model formats other than pickles carry that runs code or reaches out of the artifact.

Measures  code-constructs: Keras layers stored as code and classes that are not Keras' own, TorchScript code, operators
          of foreign ONNX domains, remote code and chat templates of Hugging Face models, foreign types in skops
          archives. external-references: tensor data outside the artifact. unreadable-files: files of these formats that
          are not well formed, and any GGUF, HDF5, TensorFlow or template file, none of which the gate reads.
Matters   Formats without pickles pass for harmless; each of these has run code or read files where it was loaded.
Blind to  Vulnerable kernels.
See       CVE-2024-3660 and CVE-2025-1550 (Keras), CVE-2024-5187 and CVE-2024-27318 (ONNX), CVE-2024-34359 (chat
          templates), GHSA-w582-9x45-8mpx (skops).
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from gate.detectors.contract import Detector, Need
from gate.formats import configurations, onnx, safetensors
from gate.formats.expected import HDF5
from gate.formats.hazards import Hazard, each_file, measurements
from gate.formats.source import Bounds, Source, UnreadableError
from gate.formats.templates.places import may_hold_templates
from gate.formats.zip_members import member_source
from gate.formats.zips import Archive, is_zip, read_zip
from gate.records.declarations import Metric, Options
from gate.records.errors import GateError
from gate.records.evidence import Measurement
from gate.records.record import parse_json
from gate.records.run import Run
from gate.spaces.contract import EVERY
from gate.spaces.subject import Subject

_MAX_JSON = 32 << 20
_MAX_SEARCHED = 256 << 20
_MAX_WEIGHTS = 1 << 30
_TEMPLATES = (".j2", ".jinja", ".jinja2")
_HDF5_SUFFIXES = (".h5", ".hdf5")
_UNREAD = {
    ".gguf": "a GGUF file",
    **dict.fromkeys(_HDF5_SUFFIXES, "an HDF5 file"),
    ".pb": "a TensorFlow graph",
    **dict.fromkeys(_TEMPLATES, "a template"),
}
"""Formats by ending that no flavour's own files have and that can run code where they are loaded."""
_UNREAD_MAGIC = {b"GGUF": ".gguf", HDF5: ".h5"}
_REMOTE_CODE = re.compile(r"(modeling|configuration|tokenization|processing|image_processing|pipeline)_\w+\.py")
_CODE_KEYS = ("auto_map", "chat_template", "custom_pipelines", "trust_remote_code")
_WORTH_PARSING = re.compile(rb"auto_map|custom_pipelines|trust_remote_code|chat_template|\\u")
"""Only files with such a key, or with an escape, are parsed: examples of inputs are large and may contain NaN."""
_ESCAPING = re.compile(r"(^|[/\\])\.\.([/\\]|$)|^[/\\~]|^[A-Za-z]:|^[A-Za-z][A-Za-z0-9+.-]*://|[\x00-\x1f]|^$")


class UnsafeFormat(Options):
    """Parts of other formats that are known to be harmless."""

    allowed_onnx_domains: tuple[str, ...] = ()
    """Domains of ONNX operators, beside the standard ones, that do not count."""
    chat_templates: bool = False
    """Whether chat templates in files that the detector `chat-template` reads are left to it; else each counts."""


def measure(subject: Subject, options: UnsafeFormat, run: Run) -> Iterator[Measurement]:
    """Yield the counts of code, references and unreadable files, file by file."""
    bounds = Bounds(tick=run.check_time)
    present = frozenset(file.path for file in subject.artifact.manifest.files)

    def examine(path: str, source: Source) -> Iterator[Hazard]:
        run.check_time()
        if is_zip(source):
            yield from _archive(path, source, bounds)
        suffix, head = PurePosixPath(path).suffix.lower(), source.read(0, 16)
        if suffix in _TEMPLATES and options.chat_templates and may_hold_templates(path):
            return
        if what := _unread(suffix, head):
            yield Hazard("unreadable-files", path, f"{what}, which the gate does not read")
        elif suffix == ".onnx" or onnx.looks_like_onnx(head):
            yield from _onnx(path, source, options, present, bounds)
        elif suffix == ".safetensors":
            safetensors.check_safetensors(source)
        else:
            yield from _text(path, suffix, source, options)

    yield from measurements(
        each_file(subject.artifact, examine, "unreadable-files"), (metric.id for metric in DETECTOR.metrics)
    )


def _unread(suffix: str, head: bytes) -> str:
    """Return the format of a file that the gate refuses to read, by its ending or first bytes; else nothing."""
    known = next((ending for magic, ending in _UNREAD_MAGIC.items() if head.startswith(magic)), suffix)
    return _UNREAD.get(known, "")


def _archive(path: str, source: Source, bounds: Bounds) -> Iterator[Hazard]:
    """Yield TorchScript code, Keras configurations and skops schemas of a zip."""
    archive = read_zip(source, bounds)
    if archive.named("constants.pkl") is not None or archive.named("data.pkl") is not None:
        for member in archive.members:
            if "/code/" in f"/{member.name}" and member.name.endswith(".py"):
                yield Hazard("code-constructs", path, f"TorchScript code {member.name}")
    suffix = PurePosixPath(path).suffix.lower()
    yield from _schema(path, source, archive, suffix, bounds)
    for member in archive.members:
        if member.name.endswith(_HDF5_SUFFIXES):
            weights = member_source(source, member, bounds.max_inflated_bytes, bounds.budget)
            if configurations.holds_configuration(weights.whole(_MAX_WEIGHTS, member.name)):
                yield Hazard("code-constructs", path, f"a configuration among the weights {member.name}")


def _schema(path: str, source: Source, archive: Archive, suffix: str, bounds: Bounds) -> Iterator[Hazard]:
    """Yield hazards of the JSON that tells a Keras or skops loader what to build."""
    for name, own_suffix, hazards in (
        ("config.json", ".keras", configurations.config_hazards),
        ("schema.json", ".skops", configurations.schema_hazards),
    ):
        members = [member for member in archive.members if member.name == name]
        if suffix == own_suffix and not members:
            raise UnreadableError(f"a {own_suffix} archive without {name}")
        for member in members:
            raw = member_source(source, member, _MAX_JSON, bounds.budget).whole(_MAX_JSON, member.name)
            for what in hazards(_json(raw, f"{path}!{name}"), bounds):
                yield Hazard("code-constructs", path, what)


def _onnx(
    path: str, source: Source, options: UnsafeFormat, present: frozenset[str], bounds: Bounds
) -> Iterator[Hazard]:
    """Yield hazards of an ONNX model; bytes that merely begin like one are ignored."""
    try:
        facts = onnx.read_onnx(source.whole(onnx.MAX_BYTES, path), bounds)
    except UnreadableError:
        if PurePosixPath(path).suffix.lower() == ".onnx":
            raise
        return
    for operator in facts.operators:
        if operator.rpartition(".")[0] not in options.allowed_onnx_domains:
            yield Hazard("code-constructs", path, f"operator {operator}")
    for location in facts.external:
        beside = (PurePosixPath(path).parent / location).as_posix()
        if _ESCAPING.search(location) or beside not in present:
            yield Hazard("external-references", path, f"tensor data at {location!r}")
    if not facts.has_graph and PurePosixPath(path).suffix.lower() == ".onnx":
        raise UnreadableError("an ONNX model without a graph")


def _text(path: str, suffix: str, source: Source, options: UnsafeFormat) -> Iterator[Hazard]:
    """Yield code and code-loading keys of the texts that Hugging Face loaders read."""
    if suffix == ".py" and _REMOTE_CODE.fullmatch(PurePosixPath(path).name):
        yield Hazard("code-constructs", path, "code that a loader runs with the model")
    elif suffix == ".json":
        raw = source.whole(_MAX_SEARCHED, path)
        if not _WORTH_PARSING.search(raw):
            return
        value = _json(raw, path)
        for key in _CODE_KEYS:
            if key == "chat_template" and options.chat_templates and may_hold_templates(path):
                continue
            if isinstance(value, dict) and value.get(key):
                yield Hazard("code-constructs", path, f"{key}: {str(value[key])[:100]}")


def _json(raw: bytes, what: str) -> Any:
    try:
        return parse_json(raw, what=what, limit=_MAX_JSON)
    except GateError as error:
        raise UnreadableError(str(error)) from None


DETECTOR = Detector(
    id="unsafe-format",
    title="Code and references in other formats",
    doing="code in files of other formats",
    needs=Need.FILES,
    spaces=EVERY,
    before_loading=True,
    metrics=(
        Metric("code-constructs", "constructs", "higher", "Parts of a model format that run code on loading."),
        Metric("external-references", "references", "higher", "Tensor data that lie outside the artifact."),
        Metric("unreadable-files", "files", "higher", "Files of these formats that are malformed or never read."),
    ),
    options=UnsafeFormat,
    measure=measure,
)
