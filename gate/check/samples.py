"""What clean samples show wrong by themselves, said before a model is pulled: the operator's mistake (exit 2), no mark.

The orchestrator's half, which reads nothing of them: a jailed worker that sees the samples alone does. What only
running the candidate shows is the scan's to say, and flags; a hostile candidate could otherwise choose the way out that
leaves no mark. For the same reason nothing is said here of samples that the candidate side has named.
"""

from pathlib import Path

from gate import detectors
from gate.check.evidence import ScanSettings
from gate.check.files import PulledSamples
from gate.check.pull import Brought, PullRequest, pull_samples
from gate.check.worker_results import manner
from gate.check.workers import run_in_scratch
from gate.detectors.contract import Need
from gate.jail.inert import inert_line
from gate.jail.scratch import scratch_directory
from gate.records.artifact import Manifest, ModelRef
from gate.records.errors import UsageError
from gate.records.job import LOOK_FILE, SamplesLook, ScanJob
from gate.records.policy import Policy
from gate.records.record import MalformedError
from gate.registries.contract import Registry

LOOK_SECONDS = 300.0
"""Four gibibytes of images are decoded in less."""
MAX_LOOK_BYTES = 64 << 10
_TEXT = 1000


def require_usable(
    base: Path,
    samples: PulledSamples | None,
    policy: Policy,
    *,
    model: ModelRef,
    settings: ScanSettings,
    named: bool = True,
) -> None:
    """Raise `UsageError` where the samples below `base`, or their absence, are wrong by themselves.

    `named` tells whether the operator named them, by `--samples` or the policy; what a tag of the candidate side names
    is left to the scan. A jail that cannot be built raises `CannotFinishError`, as everywhere.
    """
    if samples is None:
        _require_none_needed(policy)
    elif named:
        _look(base, samples, policy, model, settings)


def bring_samples(
    registry: Registry,
    request: PullRequest,
    base: Path,
    ref: ModelRef,
    settings: ScanSettings,
    *,
    without: UsageError | None = None,
) -> Brought:
    """Copy a version's clean samples below `base`, and look at them before anything of the model comes.

    Where there are none, `without` is raised, or the policy decides whether they are needed.
    """
    brought = pull_samples(registry, request, base, ref)
    if brought.samples is None and without is not None:
        raise without
    named = named_by_operator(request.samples, request.policy, ref.name)
    require_usable(base, brought.samples, request.policy, model=ref, settings=settings, named=named)
    return brought


def named_by_operator(asked: str | None, policy: Policy, model: str) -> bool:
    """Tell whether `--samples` (`asked`) or the policy names a model's samples, rather than a tag of it."""
    return asked is not None or policy.samples.of(model).uri is not None


def _require_none_needed(policy: Policy) -> None:
    """Refuse a check without samples under a policy that needs some, unless a tag of the model was to name them."""
    needed = (name for name, rule in policy.detectors.items() if rule.required)
    first = next((name for name in needed if Need.SAMPLES in detectors.load(name).needs), None)
    if first is not None and not policy.samples_from_tag:
        raise UsageError(
            f"no clean samples were named, and {first} of the policy needs them: name them with --samples, or under "
            "'samples: {uri: …}' in the policy"
        )


def _look(base: Path, samples: PulledSamples, policy: Policy, model: ModelRef, settings: ScanSettings) -> None:
    job = ScanJob(
        role="sampler",
        model=model,
        manifest=Manifest(files=()),
        root="",
        policy=policy,
        seed=0,
        deadline_seconds=LOOK_SECONDS,
        **samples.of_job(base),
        **{**settings.limits(policy), "device": "cpu", "threads": 1},
    )
    seen = _seen(job)
    if seen.fault:
        # Hostile samples may have taken the worker over: its words are bounded, and no command to a terminal.
        raise UsageError(inert_line(seen.fault, limit=_TEXT), what_to_do=inert_line(seen.what_to_do, limit=_TEXT))


def _seen(job: ScanJob) -> SamplesLook:
    """Run the sampler to its end; one that leaves nothing acceptable could not read the samples."""
    with scratch_directory() as scratch:
        ended, _ = run_in_scratch(job, scratch, lambda _step, _done, _total: None)
        try:
            seen = SamplesLook.from_file(scratch / LOOK_FILE, limit=MAX_LOOK_BYTES)
        except MalformedError:
            seen = None
    if seen is None or not ended.ended_by_itself:
        raise UsageError(
            f"the samples {job.samples_source} could not be read: {manner(ended)}",
            what_to_do="Save them anew with numpy.savez('samples.npz', inputs=…, labels=…), or as images by class.",
        )
    return seen
