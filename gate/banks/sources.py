"""What copies are made from: the candidate's program as the gate wrote it, clean samples, and data that is trusted.

Everything is fetched and looked at before the first copy is trained, and what that will take is said.
"""

import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gate.banks.assemble import measuring_policy
from gate.banks.copies import try_out
from gate.check.bundle.compose import Bundle
from gate.check.evidence import ScanRequest, ScanSettings
from gate.check.files import SAMPLES_FOLDER, TRAINING_FOLDER, CheckFiles, Pulled, PulledSamples
from gate.check.pull import PullRequest, pull_model, pull_training
from gate.check.samples import bring_samples, named_by_operator
from gate.check.scan import write_candidate
from gate.check.workers import Progress
from gate.jail.inert import inert_line
from gate.records.activity import Tell
from gate.records.artifact import ModelRef, file_sha256
from gate.records.copies import LARGE_PIXELS, ROUNDS, CopyTask, Trial, steps_at_most
from gate.records.errors import UnexaminableError, UsageError
from gate.records.job import ScanJob
from gate.records.policy import Policy
from gate.registries.contract import Registry
from gate.registries.directory import DirectoryRegistry

WEIGHTS: Final = (".safetensors", ".npz", ".pt2")
_TRUSTED = "trusted"
_SLACK_SECONDS = 600.0
"""Seconds of a trainer's deadline beyond its training: to read, measure and write."""
_TYPICAL_BATCH = 64


@dataclass(frozen=True)
class MakeRequest:
    """The arguments of `gate bank make`."""

    uri: str
    policy: Policy
    data: Path
    to: Path
    work: Path
    """Folder of copies and of their evidence, for the next time."""
    name: str
    settings: ScanSettings
    threads: int
    """Threads of each worker."""
    samples: str | None = None
    weights: Path | None = None
    """Trusted weights that all copies start from; None: every value is drawn anew."""
    count: int = 20
    jobs: int = 1
    """Copies that are made at the same time."""
    tolerance: float = 0.02
    epochs: int | None = None
    seconds: float = 3600.0
    """The most seconds of one copy's training."""
    large: bool = False
    """Whether images of more than 64 pixels are trained on processor cores too."""
    most_references: int = 4


@dataclass(frozen=True)
class Source:
    """What every copy of one candidate shares."""

    ref: ModelRef
    digest: str
    """Digest of the candidate's files."""
    texts: Path
    """Folder of the bundle that the gate wrote from the candidate."""
    samples: Path
    data_name: str
    job: ScanJob
    """The trainer's job without a recipe, which looks at candidate and data."""
    trial: Trial


def opened(registry: Registry, request: MakeRequest, private: Path, progress: Progress, tell: Tell) -> Source:
    """Fetch everything below `private`, look at it, and say what the copies will take."""
    if request.policy.files_only:
        raise UsageError("the policy judges bytes alone, and no bank stands beside that", what_to_do="Name another.")
    policy, ref = measuring_policy(request.policy), registry.resolve(request.uri)
    data = _data(request, policy, ref, private / _TRUSTED)
    pulled = _pulled(registry, request, policy, ref, private, tell)
    training, unfetched = pull_training(registry, policy, ref, private / TRAINING_FOLDER)
    for why in unfetched:
        tell(f"the trusted data is not compared with what the candidate's run logged: {why}")
    if training is not None and training.sha256 == data.sha256:
        raise UsageError(
            f"{request.data} is byte by byte the training set that the candidate's own run logged, {training.source}",
            what_to_do="Name data from a source that whoever trained the candidate cannot write to.",
        )
    bundle, why = write_candidate(ScanRequest(pulled, private, policy, request.settings), progress)
    if bundle is None:
        raise UnexaminableError(f"no copies can be made of {ref}, whose program could not be written: {why}")
    job = _job(request, policy, pulled, private, data, bundle)
    if training is not None:
        at = {"training_path": str(private / TRAINING_FOLDER / training.name), "training_sha256": training.sha256}
        job = job.model_copy(update=at)
    trial = _tried(job, progress)
    said = _estimate(request, trial)
    _require_small(request, trial, said)
    for line in said:
        tell(line)
    assert pulled.samples is not None
    samples = private / SAMPLES_FOLDER / pulled.samples.name
    return Source(ref, pulled.digest, bundle.root, samples, request.data.name[:200], job, trial)


def _data(request: MakeRequest, policy: Policy, ref: ModelRef, base: Path) -> PulledSamples:
    """Copy and look at the trusted data; what is wrong with it by itself is the operator's mistake."""
    asked = PullRequest(request.uri, policy, str(request.data))
    try:
        brought = bring_samples(DirectoryRegistry(), asked, base, ref, request.settings)
    except UsageError as error:
        raise UsageError(f"the trusted data of --data cannot be used: {error}", what_to_do=error.what_to_do) from None
    assert brought.samples is not None
    return brought.samples


def _pulled(
    registry: Registry, request: MakeRequest, policy: Policy, ref: ModelRef, private: Path, tell: Tell
) -> Pulled:
    """Pull the samples, which the operator has to name, and the candidate."""
    if not named_by_operator(request.samples, policy, ref.name):
        raise UsageError(
            "no clean samples were named; on them it is measured whether a copy is as good as the candidate",
            what_to_do="Name the samples of your checks with --samples, or pin them in the policy.",
        )
    asked = PullRequest(request.uri, policy, request.samples)
    brought = bring_samples(registry, asked, private, ref, request.settings)
    tell(f"pulling {ref}")
    return pull_model(registry, asked, CheckFiles.create(private / "check"), private, ref, brought)


def _job(
    request: MakeRequest, policy: Policy, pulled: Pulled, private: Path, data: PulledSamples, bundle: Bundle
) -> ScanJob:
    weights = _weights(request.weights, private) if request.weights else None
    task = CopyTask(
        epochs=request.epochs,
        seconds=request.seconds,
        data_path=str(private / _TRUSTED / SAMPLES_FOLDER / data.name),
        data_source=data.source,
        data_sha256=data.sha256,
        weights_path=str(weights) if weights else None,
        weights_sha256=file_sha256(weights) if weights else None,
    )
    assert pulled.samples is not None
    return ScanJob(
        role="trainer",
        model=pulled.model,
        manifest=bundle.manifest,
        root=str(bundle.root),
        policy=policy,
        seed=request.settings.seed_by(request.policy),
        deadline_seconds=request.seconds + _SLACK_SECONDS,
        copy_task=task,
        **pulled.samples.of_job(private),
        **{**request.settings.limits(request.policy), "threads": request.threads},
    )


def _weights(path: Path, private: Path) -> Path:
    """Return a private copy of the weights that copies start from."""
    folder = private / "weights"
    folder.mkdir()
    return Path(shutil.copyfile(path, folder / f"weights{path.suffix}"))


def _tried(job: ScanJob, progress: Progress) -> Trial:
    trial = try_out(job, progress)
    if trial.fault:
        kind = UsageError if trial.of_data else UnexaminableError
        raise kind(inert_line(trial.fault, limit=2000), what_to_do=inert_line(trial.what_to_do, limit=1000))
    return trial


def _estimate(request: MakeRequest, trial: Trial) -> tuple[str, str]:
    """Return what a copy needs, and what all will take, by the measured time of an image."""
    accuracy = trial.accuracy or 0.0
    goal = max(0.0, accuracy - request.tolerance)
    a_pass = trial.images * trial.seconds_an_image
    most = steps_at_most(trial.images, _TYPICAL_BATCH, request.epochs) * _TYPICAL_BATCH / max(1, trial.images)
    least = most * ROUNDS[0] / sum(ROUNDS)
    waves = math.ceil(request.count / request.jobs)
    shortest, longest = (waves * min(request.seconds, passes * a_pass) for passes in (least, most))
    out = f" ({trial.left_out} that are clean samples too are left out)" if trial.left_out else ""
    quality = f"the candidate gets {accuracy:.1%} of the clean samples right; a copy counts from {goal:.1%} on"
    cost = (
        f"one pass over the {trial.images} images of the data{out} takes {_time(a_pass)}; training {request.count} "
        f"copies in {least:.2g} to {most:.2g} passes, {request.jobs} at a time, {_time(shortest)} to {_time(longest)}; "
        "each that is good enough is then scanned"
    )
    return quality, cost


def _require_small(request: MakeRequest, trial: Trial, said: tuple[str, str]) -> None:
    size = max(trial.input_shape[-2:], default=0)
    if size > LARGE_PIXELS and trial.device == "cpu" and not request.large:
        raise UsageError(
            f"the candidate takes images of {size} pixels, and copies are trained on cores up to {LARGE_PIXELS}: "
            f"{said[1]}",
            what_to_do="Train on a GPU (--device cuda), start from trusted weights (--from), or give --large-images "
            "to train them here all the same.",
        )


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * 3600 else f"{seconds / 3600:.1f} h"
