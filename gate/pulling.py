"""The pull step: a version and its samples copied, hashed, made read-only and written down in `manifest.json`.

The orchestrator's half, with credentials: it asks the registry and reads nothing of what it copies but its bytes,
and the few bounded kilobytes of a repaired bundle's `provenance.json`.
"""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from gate import detectors
from gate.artifact import MAX_SAMPLE_FILES, ModelRef, build_manifest, file_sha256, make_read_only
from gate.check_files import (
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
from gate.detector import Need
from gate.downloading import bounded, require_within
from gate.errors import CannotFinishError, UsageError
from gate.policy import DownloadBounds, Policy
from gate.provenance import read_repair
from gate.registry import Registry
from gate.version import VERSION

SAMPLES_TAG = "gate.samples"


@dataclass(frozen=True)
class PullRequest:
    """What `pull` is asked for."""

    uri: str
    policy: Policy
    samples: str | None = None
    """Overrides what the policy pins."""


def digest_now(registry: Registry, ref: ModelRef) -> str:
    """Return the digest of a version as it is downloaded at this moment."""
    with private_directory() as private:
        folder = private / MODEL_FOLDER
        folder.mkdir()
        with bounded(folder, DownloadBounds(), str(ref)):
            registry.pull(ref, folder)
        return build_manifest(folder)[0].digest


def pull(registry: Registry, request: PullRequest, files: CheckFiles, base: Path, ref: ModelRef) -> Pulled:
    """Copy version and samples below `base`, hash them, make them read-only, write `manifest.json`."""
    started = time.monotonic()
    facts = registry.facts(ref)
    model = base / MODEL_FOLDER
    remove(model)
    model.mkdir(parents=True)
    with bounded(model, request.policy.download, str(ref)):
        registry.pull(ref, model)
    manifest, problems = build_manifest(model)
    samples = _pull_samples(registry, request, ref.name, dict(facts.model_tags), base / SAMPLES_FOLDER)
    make_read_only(model)
    repair, repair_problem = read_repair(model)
    training, odd = _pull_training(registry, request.policy, ref, base / TRAINING_FOLDER)
    pulled = Pulled(
        gate_version=VERSION,
        uri=request.uri,
        model=ref,
        description=facts.description[:2000],
        digest=manifest.digest,
        policy_digest=request.policy.digest,
        files=manifest.files,
        samples=samples,
        training=training,
        problems=(*problems, *odd),
        repair=repair,
        repair_problem=repair_problem,
        seconds=time.monotonic() - started,
    )
    files.write(MANIFEST, pulled.pretty_json())
    return pulled


def _pull_samples(
    registry: Registry, request: PullRequest, model_name: str, model_tags: dict[str, str], to: Path
) -> PulledSamples | None:
    """Fetch the samples that --samples, the policy or, where the policy says so, the model's tag names."""
    pinned = request.policy.samples.of(model_name).uri
    tagged = model_tags.get(SAMPLES_TAG) if request.policy.samples_from_tag else None
    uri = request.samples or pinned or tagged
    if uri is None:
        return None
    remove(to)
    to.mkdir(parents=True)
    bounds = request.policy.download
    with bounded(to, bounds, f"the samples {uri[:200]}"):
        path = registry.fetch(uri, to).resolve()
    if not path.exists():
        raise UsageError(f"there are no samples at {uri}")
    if not path.is_relative_to(to.resolve()):
        # A path on disk: copied too, so that what is hashed is what is scanned and the scan step finds it beside it.
        require_within(path, bounds, f"the samples {uri[:200]}")
        path = _copied(path, to / path.name)
    return PulledSamples(
        name=path.relative_to(to.resolve()).as_posix(),
        source=uri[:2000],
        sha256=_content_sha256(path),
        overridden=request.samples is not None and pinned is not None and request.samples != pinned,
    )


def _pull_training(
    registry: Registry, policy: Policy, ref: ModelRef, to: Path
) -> tuple[PulledSamples | None, tuple[str, ...]]:
    """Fetch the logged training set where a detector of the policy needs one; an odd one is a problem, and not used."""
    if not any(Need.TRAINING_SET in detectors.load(name).needs for name in policy.detectors):
        return None, ()
    remove(to)
    to.mkdir(parents=True)
    with bounded(to, policy.download, f"the training set of {ref}"):
        found = registry.training_set(ref, to)
    if found is None:
        return None, ()
    uri, path = found
    name = path.resolve().relative_to(to.resolve()).as_posix()
    try:
        sha256 = _content_sha256(to / name)
    except UsageError as error:  # the candidate side's choice, and so no way out that leaves no mark
        return None, (f"The training set that the run logged is not used: {error}.",)
    return PulledSamples(name=name, source=uri[:2000], sha256=sha256, overridden=False), ()


def _copied(path: Path, to: Path) -> Path:
    try:
        copied = shutil.copytree(path, to) if path.is_dir() else shutil.copyfile(path, to)
    except (OSError, shutil.Error) as error:
        raise CannotFinishError(f"the samples {path} cannot be copied: {str(error)[:300]}") from None
    return Path(copied).resolve()


def _content_sha256(path: Path) -> str:
    """Return the sha256 of a file, or of a folder's manifest; a folder that cannot be hashed whole is refused."""
    if not path.is_dir():
        return file_sha256(path)
    manifest, problems = build_manifest(path, MAX_SAMPLE_FILES)
    if problems:
        raise UsageError(
            f"the samples in {path.name!r} cannot be used: {problems[0]}",
            what_to_do="Pass a folder of plain files, one folder of images for each class.",
        )
    return manifest.digest.removeprefix("sha256:")
