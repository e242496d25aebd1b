"""The job's clean samples: read, judged by themselves, or given to a model, which is traced with a few of them.

The sampler imports this in a jail that shows nothing but samples, without torch.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from gate import spaces
from gate.policies.spaces import spaces_of
from gate.records.declarations import Space
from gate.records.errors import UnexaminableError
from gate.records.job import SamplesLook, ScanJob
from gate.spaces.image.samples import arrange, read_samples
from gate.spaces.image.stored import RawSamples
from gate.spaces.text.samples import read_samples as read_texts
from gate.spaces.text.stored import RawTexts

if TYPE_CHECKING:
    import torch

_TEXT = 2000
_ZIP: Final = b"PK"
"""How an `.npz` begins."""


def raw_samples(job: ScanJob) -> RawSamples:
    """Read the job's samples as images, which must be those that were pulled."""
    return read_samples(*_given(job))


def raw_texts(job: ScanJob) -> RawTexts:
    """Read the job's samples as texts, likewise."""
    return read_texts(*_given(job))


def _given(job: ScanJob) -> tuple[Path, str, str]:
    assert job.samples_path is not None
    assert job.samples_sha256 is not None
    return Path(job.samples_path), job.samples_source, job.samples_sha256


def look(job: ScanJob) -> SamplesLook:
    """Return why the job's samples suit no model, and what to do; empty where they may."""
    try:
        path, source, sha256 = _given(job)
        space = spaces.load(_space_of(path, job))
        raw = space.read_samples(path, source, sha256, "the samples")
        space.require_usable(raw, job.policy.samples.of(job.model.name))
    except UnexaminableError as error:
        return SamplesLook(fault=str(error)[:_TEXT] or "they cannot be used", what_to_do=error.what_to_do[:_TEXT])
    return SamplesLook()


def _space_of(path: Path, job: ScanJob) -> Space:
    """Return what the samples are read as: by the policy's detectors or, where these are for both, by their form."""
    possible = spaces_of(job.policy)
    if len(possible) == 1:
        return next(iter(possible))
    if path.is_dir():
        return "images"
    with path.open("rb") as stream:
        return "images" if stream.read(len(_ZIP)) == _ZIP else "tokens"


def example(job: ScanJob, count: int, what_for: str) -> "torch.Tensor":
    """Return the first `count` samples at most, preprocessed (n, C, H, W)."""
    import torch

    from gate.spaces.image.preprocessing import Preprocessing

    if job.samples_path is None:
        raise UnexaminableError(f"no clean samples were given; {what_for} needs a few to trace the model with")
    settings = job.policy.samples.of(job.model.name)
    inputs = torch.from_numpy(arrange(raw_samples(job), None, settings).inputs[:count])
    return Preprocessing.of(settings.mean, settings.std, "cpu")(inputs)
