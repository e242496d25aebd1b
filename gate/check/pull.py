"""The pull step: samples and then a version copied, hashed, made read-only and recorded in `manifest.json`.

The orchestrator has the credentials: of what it copies it parses nothing but the few bounded kilobytes of a repaired
bundle's `provenance.json`.
"""

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gate import VERSION, detectors
from gate.check.base_model import FOLDER as BASE_FOLDER
from gate.check.base_model import AskedBase, bring_base
from gate.check.files import (
    MANIFEST,
    MODEL_FOLDER,
    SAMPLES_FOLDER,
    TRAINING_FOLDER,
    CheckFiles,
    Pulled,
    PulledSamples,
    private_directory,
    remove,
)
from gate.check.history import bring_history
from gate.check.previous import BY_ALIAS, Against, bring_previous
from gate.detectors.contract import Need
from gate.records.addresses import is_reference
from gate.records.artifact import MAX_SAMPLE_FILES, ModelRef, build_manifest, file_sha256, make_read_only
from gate.records.errors import CannotFinishError, RefusedAddressError, UsageError
from gate.records.policy import DownloadBounds, Policy
from gate.records.provenance import read_repair
from gate.registries.contract import Registry
from gate.registries.downloading import bounded, require_within

SAMPLES_TAG = "gate.samples"


@dataclass(frozen=True)
class PullRequest:
    """The arguments of `pull`; `samples` overrides what the policy pins."""

    uri: str
    policy: Policy
    samples: str | None = None
    against: Against = BY_ALIAS
    base: AskedBase | None = None
    """Base of an adapter, named by `--base`."""


@contextmanager
def downloaded(registry: Registry, ref: ModelRef, bounds: DownloadBounds) -> Iterator[Path]:
    """Yield a private folder with a version's current files, within the policy's bounds; it is removed afterwards."""
    with private_directory() as private:
        folder = private / MODEL_FOLDER
        folder.mkdir()
        with bounded(folder, bounds, str(ref)):
            registry.pull(ref, folder)
        yield folder


def digest_now(registry: Registry, ref: ModelRef, bounds: DownloadBounds, stores: Sequence[str] = ()) -> str:
    """Return the digest of a version's current files; `bounds` and `stores` are the policy's."""
    with downloaded(registry.allowing(stores), ref, bounds) as folder:
        return build_manifest(folder)[0].digest


@dataclass(frozen=True)
class Brought:
    """The samples of a check, which are fetched and examined before the model, and the version's description."""

    samples: PulledSamples | None
    description: str
    problems: tuple[str, ...] = ()
    seconds: float = 0.0


def pull(registry: Registry, request: PullRequest, files: CheckFiles, base: Path, ref: ModelRef) -> Pulled:
    """Copy samples and version below `base`, hash them, make them read-only and write `manifest.json`."""
    return pull_model(registry, request, files, base, ref, pull_samples(registry, request, base, ref))


def pull_samples(registry: Registry, request: PullRequest, base: Path, ref: ModelRef) -> Brought:
    """Copy the clean samples of a version into `samples/` below `base`, and hash them."""
    started, registry = time.monotonic(), registry.allowing(request.policy.artifact_stores)
    facts = registry.facts(ref)
    samples, refused = _pull_samples(registry, request, ref.name, dict(facts.model_tags), base / SAMPLES_FOLDER)
    return Brought(samples, facts.description[:2000], refused, time.monotonic() - started)


def pull_model(
    registry: Registry, request: PullRequest, files: CheckFiles, base: Path, ref: ModelRef, brought: Brought
) -> Pulled:
    """Copy the version, its training set and the versions before it beside its samples; write `manifest.json`."""
    started, registry = time.monotonic(), registry.allowing(request.policy.artifact_stores)
    model = base / MODEL_FOLDER
    remove(model)
    model.mkdir(parents=True)
    with bounded(model, request.policy.download, str(ref)):
        registry.pull(ref, model)
    manifest, problems = build_manifest(model)
    training, refused = _pull_training(registry, request.policy, ref, base / TRAINING_FOLDER)
    make_read_only(model)
    beside = bring_base(registry, request.base, request.policy.download, base / BASE_FOLDER)
    versions = cache(registry.versions)  # asked once: both then speak of the same versions
    previous = bring_previous(registry, versions, request.against, request.policy, ref, base)
    history = bring_history(versions, request.against, ref)
    repair, repair_problem = read_repair(model)
    pulled = Pulled(
        gate_version=VERSION,
        uri=request.uri,
        model=ref,
        description=brought.description,
        digest=manifest.digest,
        policy_digest=request.policy.digest,
        files=manifest.files,
        samples=brought.samples,
        training=training,
        previous=previous,
        history=history,
        base=beside,
        problems=(*problems, *brought.problems, *refused),
        repair=repair,
        repair_problem=repair_problem,
        seconds=brought.seconds + time.monotonic() - started,
    )
    files.write(MANIFEST, pulled.pretty_json())
    return pulled


def _pull_samples(
    registry: Registry, request: PullRequest, model_name: str, model_tags: dict[str, str], to: Path
) -> tuple[PulledSamples | None, tuple[str, ...]]:
    """Fetch the samples that --samples, the policy or, where the policy says so, the model's tag names.

    The first two are the operator's claim. The tag is candidate-controlled: it may name an artifact of the same
    registry, never a path or another address, and what it names otherwise is a problem of the candidate.
    """
    if request.policy.files_only:
        return None, ()
    pinned = request.policy.samples.of(model_name).uri
    uri = request.samples or pinned
    if uri is not None:
        overridden = request.samples is not None and pinned is not None and request.samples != pinned
        try:
            return _fetched(registry, uri, to, request.policy.download, overridden=overridden), ()
        except UsageError as error:
            if not is_reference(uri):
                raise
            # The writers of that run control them, and an operator's error would leave the version unmarked.
            raise CannotFinishError(str(error), what_to_do=error.what_to_do) from None
    tagged = model_tags.get(SAMPLES_TAG) if request.policy.samples_from_tag else None
    if tagged is None:
        return None, ()
    if not is_reference(tagged):
        named = f"the tag {SAMPLES_TAG} names {tagged[:200]!a}; expected runs:/… or models:/… of the same registry"
        return None, (f"{named}, and nothing was fetched",)
    try:
        return _fetched(registry, tagged, to, request.policy.download, overridden=False), ()
    except (RefusedAddressError, UsageError) as error:
        return None, (f"the samples that the tag {SAMPLES_TAG} names were not fetched: {error}",)


def _fetched(registry: Registry, uri: str, to: Path, bounds: DownloadBounds, *, overridden: bool) -> PulledSamples:
    remove(to)
    to.mkdir(parents=True)
    with bounded(to, bounds, f"the samples {uri[:200]}"):
        path = registry.fetch(uri, to).resolve()
    if not path.exists():
        raise UsageError(f"there are no samples at {uri}")
    if not path.is_relative_to(to.resolve()):
        # A path on disk is copied too: what is hashed is what is scanned.
        require_within(path, bounds, f"the samples {uri[:200]}")
        try:
            copied = shutil.copytree(path, to / path.name) if path.is_dir() else shutil.copyfile(path, to / path.name)
        except (OSError, shutil.Error) as error:
            raise CannotFinishError(f"the samples {path} cannot be copied: {str(error)[:300]}") from None
        path = Path(copied).resolve()
    return PulledSamples(
        name=path.relative_to(to.resolve()).as_posix(),
        source=uri[:2000],
        sha256=_content_sha256(path),
        overridden=overridden,
    )


def _pull_training(
    registry: Registry, policy: Policy, ref: ModelRef, to: Path
) -> tuple[PulledSamples | None, tuple[str, ...]]:
    """Fetch the logged training set where a detector of the policy needs one."""
    needed = any(Need.TRAINING_SET in detectors.load(name).needs for name in policy.detectors)
    return pull_training(registry, policy, ref, to) if needed else (None, ())


def pull_training(
    registry: Registry, policy: Policy, ref: ModelRef, to: Path
) -> tuple[PulledSamples | None, tuple[str, ...]]:
    """Fetch the training set that a version's run logged, if it logged one; an unusable one is a problem."""
    remove(to)
    to.mkdir(parents=True)
    try:
        with bounded(to, policy.download, f"the training set of {ref}"):
            found = registry.training_set(ref, to)
    except RefusedAddressError as error:
        return None, (f"the training set was not fetched: {error}",)
    if found is None:
        return None, ()
    uri, path = found
    name = path.resolve().relative_to(to.resolve()).as_posix()
    try:
        sha256 = _content_sha256(to / name)
    except UsageError as error:  # candidate-controlled: an operator's error would leave no mark
        return None, (f"The training set that the run logged is not used: {error}.",)
    return PulledSamples(name=name, source=uri[:2000], sha256=sha256, overridden=False), ()


def _content_sha256(path: Path) -> str:
    """Return the sha256 of a file, or of a folder's manifest; a folder that cannot be hashed whole is refused."""
    if not path.is_dir():
        if not path.is_file():  # reading a pipe would block for ever
            raise UsageError(f"the samples {path.name!r} are no regular file", what_to_do="Name a file or a folder.")
        return file_sha256(path)
    manifest, problems = build_manifest(path, MAX_SAMPLE_FILES)
    if problems:
        raise UsageError(
            f"the samples in {path.name!r} cannot be used: {problems[0]}",
            what_to_do="Pass a folder of plain files, one folder of images for each class.",
        )
    return manifest.digest.removeprefix("sha256:")
