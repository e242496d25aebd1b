"""The networks of a candidate and its base, with tokenizer, frame and prompts; what cannot be loaded is a reason."""

import gc
from dataclasses import replace
from pathlib import Path
from typing import Final

from gate.formats.adapters.adapter import Adapter, read_adapter
from gate.formats.adapters.base import NO_BASE, BaseModel, read_base
from gate.formats.adapters.beside_base import tokenizer_differences
from gate.formats.adapters.places import TOKENIZER_FILES
from gate.formats.language.whole import WholeModel, read_whole
from gate.formats.source import UnreadableError
from gate.formats.tokenizers.file import MAX_BYTES, read_tokenizer
from gate.records.artifact import Artifact
from gate.records.errors import GateError, UnexaminableError
from gate.records.facts import ModelFacts
from gate.records.job import ScanJob
from gate.records.record import read_bounded
from gate.records.samples_evidence import SamplesEvidence
from gate.spaces.subject import Subject
from gate.spaces.text.continuing import BesideBase
from gate.worker.clean_samples import raw_texts
from gate.worker.loading.language.frames import frame_of
from gate.worker.loading.language.networks import adapted_network, base_network, require_room, tuned_network
from gate.worker.loading.language.next_tokens import NextTokens
from gate.worker.loading.loaded import Loaded
from gate.worker.loading.tokenizer import Tokenizer

MOST_PROMPTS: Final = 512
"""Most prompts that are taken of the operator's, from the beginning."""
_LONGEST: Final = 512
"""Most tokens of a prompt and what follows it, in its frame."""


def load_beside_base(artifact: Artifact, job: ScanJob, device: str) -> Loaded | None:
    """Fill a subject with the networks of an adapter or language model and of its base; None of everything else."""
    paths = [file.path for file in artifact.manifest.files]
    bare = Loaded(Subject(artifact), ModelFacts(), "A", None, ())
    try:
        adapter = read_adapter(artifact.root, paths)
        language = read_whole(artifact.root, paths) if adapter is None else None
    except UnreadableError as error:
        return replace(bare, beside_absence=f"it cannot be read: {error}"[:2000])
    own = adapter or language
    if own is None:
        return None
    bare = replace(bare, subject=replace(bare.subject, adapter=adapter, language=language))
    try:
        prompts, seen = _prompts(job)
        if not job.base_folder:
            raise UnexaminableError(NO_BASE)
        base = read_base(Path(job.base_folder))
        require_room(base, job.memory_bytes if device == "cpu" else None)
        beside = beside_base(artifact.root, own, base, device, prompts)
    except GateError as error:
        return replace(bare, beside_absence=str(error)[:2000])
    return replace(bare, subject=replace(bare.subject, beside=beside), samples=seen)


def beside_base(
    root: Path, own: Adapter | WholeModel, base: BaseModel, device: str, prompts: tuple[str, ...] = ()
) -> BesideBase:
    """Return the networks of an adapter or language model in `root` and of its base; another one is refused."""
    for path, why in tokenizer_differences(root, own.place, base):
        raise UnexaminableError(f"its tokenizer is not its base's, with which alone it is run: {path}: {why}")
    words, lead = _words(base)
    frame, framed = frame_of(base, lead)
    first = base_network(base)
    second = tuned_network(own, base) if isinstance(own, WholeModel) else adapted_network(own, base, first)
    gc.collect()  # what was read is as large as the networks
    networks = NextTokens(second.to(device), "the candidate"), NextTokens(first.to(device), "the base")
    if max(len(one.embeddings) for one in networks) < len(words.vocabulary()):
        raise UnexaminableError("the base's tokenizer has more tokens than its network knows")
    positions = base.config().get("max_position_embeddings")
    longest = min(_LONGEST, positions if type(positions) is int else _LONGEST)
    return BesideBase(*networks, words, frame, framed, longest, prompts)


def _words(base: BaseModel) -> tuple[Tokenizer, tuple[int, ...]]:
    """Return the base's tokenizer, and the ids that it puts in front of a text."""
    path = base.tokenizer / TOKENIZER_FILES[0]
    if not path.is_file():
        raise UnexaminableError("the base has no tokenizer.json, by which texts become tokens")
    file = read_tokenizer(read_bounded(path, limit=MAX_BYTES))
    # One text at a time is given, so that nothing is filled up: any token will do.
    special = (one["content"] for one in file.value.get("added_tokens", []) if one["special"])
    padding = file.padding or next(special, "") or min(file.ids, key=lambda one: file.ids[one])
    words = Tokenizer(file.served(padding, _LONGEST))
    ids, _ = words.encode(["a"], _LONGEST)
    framed, bare = ids[0].tolist(), words.plain("a")
    at = next((n for n in range(len(framed)) if framed[n : n + len(bare)] == bare), 0)
    return words, tuple(framed[:at])


def _prompts(job: ScanJob) -> tuple[tuple[str, ...], SamplesEvidence | None]:
    """Return the operator's prompts and what the evidence says of them; none where none were given."""
    if job.samples_path is None:
        return (), None
    raw = raw_texts(job)
    prompts = tuple(dict.fromkeys(row.text.strip() for row in raw.rows))[:MOST_PROMPTS]
    return prompts, _evidence(job, len(raw.rows))


def _evidence(job: ScanJob, count: int) -> SamplesEvidence:
    assert job.samples_sha256 is not None
    return SamplesEvidence(source=job.samples_source, sha256=job.samples_sha256, count=count, classes_present=0)
