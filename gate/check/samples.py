"""Faults of clean samples by themselves, reported before a model is pulled: the operator's mistake (exit 2), no mark.

A jailed worker that sees the samples alone reads them. Faults that only show when the candidate runs are the scan's,
and flag: a hostile candidate could otherwise choose an exit that leaves no mark. For the same reason samples that a tag
names are not examined here.
"""

from pathlib import Path
from typing import Final

from gate import detectors
from gate.check.evidence import ScanSettings
from gate.check.files import PulledSamples
from gate.check.pull import Brought, PullRequest, pull_samples
from gate.check.worker_results import manner
from gate.check.workers import run_in_scratch
from gate.detectors.contract import Need
from gate.jail.inert import inert_line
from gate.jail.scratch import scratch_directory
from gate.policies.spaces import spaces_of
from gate.records.artifact import Manifest, ModelRef
from gate.records.declarations import Space
from gate.records.errors import UsageError
from gate.records.job import LOOK_FILE, SamplesLook, ScanJob
from gate.records.policy import Policy
from gate.records.record import MalformedError
from gate.registries.contract import Registry
from gate.spaces.text.stored import ADVICE

_TEXT = 1000
_ADVICE: Final[dict[Space, str]] = {
    "images": "Save images anew with numpy.savez('samples.npz', inputs=…, labels=…), or as files by class.",
    "tokens": f"Of texts: {ADVICE[:1].lower()}{ADVICE[1:]}",
}
"""What to do where samples bring their reader down, by what the policy's detectors read them as."""


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

    `named`: the operator named them, by `--samples` or the policy; a tag's samples, which are candidate-controlled, are
    left to the scan. A jail that cannot be built raises `CannotFinishError`.
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
    """Copy and examine a version's clean samples; where there are none, raise `without` or ask the policy."""
    brought = pull_samples(registry, request, base, ref)
    if brought.samples is None and without is not None:
        raise without
    named = named_by_operator(request.samples, request.policy, ref.name)
    require_usable(base, brought.samples, request.policy, model=ref, settings=settings, named=named)
    return brought


def named_by_operator(asked: str | None, policy: Policy, model: str) -> bool:
    """Tell whether `--samples` (`asked`) or the policy names a model's samples, rather than its tag."""
    return asked is not None or policy.samples.of(model).uri is not None


def _require_none_needed(policy: Policy) -> None:
    """Refuse a check without samples under a policy that needs some, unless it takes them from the model's tag."""
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
        deadline_seconds=300.0,  # four gibibytes of images are decoded in less
        **samples.of_job(base),
        **{**settings.limits(policy), "device": "cpu", "threads": 1},
    )
    with scratch_directory() as scratch:
        ended, _ = run_in_scratch(job, scratch, lambda _step, _done, _total: None)
        try:
            seen = SamplesLook.from_file(scratch / LOOK_FILE, limit=64 << 10)
        except MalformedError:
            seen = None
    if seen is None or not ended.ended_by_itself:
        raise UsageError(
            f"the samples {job.samples_source} could not be read: {manner(ended)}",
            what_to_do=" ".join(_ADVICE[space] for space in sorted(spaces_of(policy))),
        )
    if seen.fault:
        # Hostile samples may control the worker: its text is bounded and inert on a terminal.
        raise UsageError(inert_line(seen.fault, limit=_TEXT), what_to_do=inert_line(seen.what_to_do, limit=_TEXT))
