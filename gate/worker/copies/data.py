"""The trusted data of copies: read like clean samples, with a label for each image, without the clean samples.

A copy's accuracy is measured on the clean samples, so it is trained on none of them. Data that the candidate's own run
logged is the candidate's word, and refused.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import torch

from gate.records.copies import CopyTask
from gate.records.errors import UnexaminableError
from gate.records.job import ScanJob
from gate.spaces.image.samples import arrange, bounds_of, labels_of, read_samples, to_samples
from gate.spaces.image.stored import Array
from gate.spaces.subject import Samples
from gate.statistics.subsets import chosen
from gate.worker.loading.program_classifier import ProgramClassifier

_NAMED = 10


class DataError(UnexaminableError):
    """Data or weights that the operator named and that do not fit: no fault of the candidate."""


def trusted(job: ScanJob, task: CopyTask, classifier: ProgramClassifier, clean: Samples) -> tuple[Samples, int]:
    """Return the trusted data on the CPU without the clean samples, and how many images were left out for that."""
    try:
        data = _read(job, Path(task.data_path), task.data_source, task.data_sha256, classifier)
    except DataError:
        raise
    except UnexaminableError as error:
        raise DataError(f"the trusted data cannot be used: {error}", what_to_do=error.what_to_do) from None
    assert data.labels is not None
    held_out = set(_keys(clean.inputs.cpu().numpy()))
    rows = torch.tensor([key not in held_out for key in _keys(data.inputs.numpy())]).nonzero().flatten()
    kept = chosen(data, rows)
    assert kept.labels is not None
    _require_every_class(kept.labels, classifier.num_classes)
    return kept, len(data.inputs) - len(rows)


def require_not_logged(job: ScanJob, data: Samples, classifier: ProgramClassifier) -> None:
    """Refuse data whose every image is, with its label, in the training set that the candidate's run logged."""
    if job.training_path is None or job.training_sha256 is None:
        return
    try:
        logged = _read(job, Path(job.training_path), "of the logged training set", job.training_sha256, classifier)
    except UnexaminableError:
        return  # what cannot be read as images with labels of these classes is other data
    if set(_pairs(data)) <= set(_pairs(logged)):
        raise DataError(
            f"all {len(data.inputs)} images of the trusted data are, with their labels, in the training set that the "
            "candidate's own run logged",
            what_to_do="Name data from a source that whoever trained the candidate cannot write to.",
        )


def _read(job: ScanJob, path: Path, source: str, sha256: str, classifier: ProgramClassifier) -> Samples:
    settings = job.policy.samples.of(job.model.name)
    raw = read_samples(path, source, sha256, "the trusted data")
    inputs = arrange(raw, classifier.input_shape, settings).inputs
    if (bounds := bounds_of(raw, inputs, settings)) != classifier.bounds:
        raise DataError(
            f"the trusted data is stored within {list(bounds)} and the clean samples within {list(classifier.bounds)}",
            what_to_do="Store both alike, or state 'bounds' under 'samples' in the policy.",
        )
    if inputs.shape[1:] != classifier.input_shape:
        raise DataError(
            f"the trusted data has images of shape {inputs.shape[1:]}; the candidate takes {classifier.input_shape}"
        )
    labels = labels_of(raw, classifier.num_classes)
    if labels is None:
        raise DataError(
            "the trusted data carries no labels; a copy learns from them",
            what_to_do="Save it with numpy.savez('trusted.npz', inputs=…, labels=…), or as images by class.",
        )
    return to_samples(inputs, labels, source, "cpu")


def _keys(inputs: Array) -> list[bytes]:
    """Return a digest of each image (N, C, H, W)."""
    return [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in inputs]


def _pairs(data: Samples) -> Iterator[tuple[bytes, int]]:
    assert data.labels is not None
    return zip(_keys(data.inputs.numpy()), data.labels.tolist(), strict=True)


def _require_every_class(labels: torch.Tensor, classes: int) -> None:
    missing = (torch.bincount(labels, minlength=classes) == 0).nonzero().flatten().tolist()
    if missing:
        named = ", ".join(map(str, missing[:_NAMED])) + (", …" if len(missing) > _NAMED else "")
        raise DataError(
            f"the trusted data has no image of class {named} beside the clean samples; a copy is to know all "
            f"{classes} classes of the candidate",
            what_to_do="Name data with images of every class, which are not the clean samples themselves.",
        )
