"""The job's clean samples: read, judged by themselves, or given to a model, which is traced with a few of them.

The sampler imports this in a jail that shows nothing but samples, without torch.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from gate.records.errors import UnexaminableError
from gate.records.job import SamplesLook, ScanJob
from gate.spaces.image.samples import arrange, read_samples
from gate.spaces.image.stored import RawSamples
from gate.spaces.image.usable import require_usable

if TYPE_CHECKING:
    import torch

_TEXT = 2000


def raw_samples(job: ScanJob) -> RawSamples:
    """Read the job's samples, which must be those that were pulled."""
    assert job.samples_path is not None
    assert job.samples_sha256 is not None
    return read_samples(Path(job.samples_path), job.samples_source, job.samples_sha256)


def look(job: ScanJob) -> SamplesLook:
    """Return why the job's samples suit no model, and what to do; empty where they may."""
    try:
        require_usable(raw_samples(job), job.policy.samples.of(job.model.name))
    except UnexaminableError as error:
        return SamplesLook(fault=str(error)[:_TEXT] or "they cannot be used", what_to_do=error.what_to_do[:_TEXT])
    return SamplesLook()


def example(job: ScanJob, count: int, what_for: str) -> "torch.Tensor":
    """Return the first `count` samples at most, preprocessed (n, C, H, W)."""
    import torch

    from gate.spaces.image.preprocessing import Preprocessing

    if job.samples_path is None:
        raise UnexaminableError(f"no clean samples were given; {what_for} needs a few to trace the model with")
    settings = job.policy.samples.of(job.model.name)
    inputs = torch.from_numpy(arrange(raw_samples(job), None, settings).inputs[:count])
    return Preprocessing.of(settings.mean, settings.std, "cpu")(inputs)
