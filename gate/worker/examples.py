"""A few clean samples as a model is given them, to trace it with or to compare two forms of it on."""

from pathlib import Path

import torch

from gate.records.errors import UnexaminableError
from gate.records.job import ScanJob
from gate.spaces.image.preprocessing import Preprocessing
from gate.spaces.image.samples import arrange, read_samples


def example(job: ScanJob, count: int, what_for: str) -> torch.Tensor:
    """Return at most `count` preprocessed samples (n, C, H, W), the first ones."""
    if job.samples_path is None:
        raise UnexaminableError(f"no clean samples were given; {what_for} needs a few to trace the model with")
    settings = job.policy.samples.of(job.model.name)
    assert job.samples_sha256 is not None
    raw = read_samples(Path(job.samples_path), job.samples_source, job.samples_sha256)
    inputs = torch.from_numpy(arrange(raw, None, settings).inputs[:count])
    return Preprocessing.of(settings.mean, settings.std, "cpu")(inputs)
