"""The sampler: clean samples read and judged by themselves, in a jail that shows nothing else and without torch."""

from pathlib import Path

from gate.records.errors import UnexaminableError
from gate.records.job import SamplesLook, ScanJob
from gate.spaces.image.samples import read_samples
from gate.spaces.image.usable import require_usable

_TEXT = 2000


def look(job: ScanJob) -> SamplesLook:
    """Return why the job's samples cannot be used whatever the model, and what to do; nothing where they can."""
    assert job.samples_path is not None
    assert job.samples_sha256 is not None
    try:
        raw = read_samples(Path(job.samples_path), job.samples_source, job.samples_sha256)
        require_usable(raw, job.policy.samples.of(job.model.name))
    except UnexaminableError as error:
        return SamplesLook(fault=str(error)[:_TEXT] or "they cannot be used", what_to_do=error.what_to_do[:_TEXT])
    return SamplesLook()
