"""The candidate's first run on its clean samples: the judged output and its answers."""

from dataclasses import dataclass

import torch

from gate.judging.accuracy import least_accuracy, likely_cause
from gate.programs import Program
from gate.records.facts import OutputFacts
from gate.records.job import ScanJob
from gate.records.sample_settings import SampleSettings
from gate.records.samples_evidence import SamplesEvidence
from gate.spaces.contract import Bounds
from gate.spaces.image.preprocessing import Preprocessing
from gate.spaces.image.samples import arrange, bounds_of, labels_of, to_samples
from gate.spaces.image.stored import RawSamples
from gate.spaces.subject import Samples
from gate.worker.loading import one_logit
from gate.worker.loading.judged import Examined, examined, judged_alone, shaped
from gate.worker.loading.mistakes import tried, why_not_finite
from gate.worker.loading.model import Model
from gate.worker.loading.module_classifier import ModuleClassifier
from gate.worker.loading.program_classifier import EXAMPLE, ProgramClassifier
from gate.worker.loading.scores import NotFiniteError

_MOST_AT_ONCE, _BYTES_AT_ONCE = 512, 6 << 20
"""Samples of a first pass at most, and bytes of them: a net's widest values are many times as large as its input."""


@dataclass(frozen=True)
class Answered:
    """A model as a classifier, its clean samples, and what it chose for each of them."""

    model: Model
    classifier: Examined
    preprocessing: Preprocessing
    clean: Samples
    predicted: torch.Tensor
    """First choices (N,)."""
    outputs: tuple[OutputFacts, ...]
    """Records of a program's outputs."""


def answered(model: Model, raw: RawSamples, policy: SampleSettings, device: str) -> Answered:
    """Choose the judged output and run the model on every sample; an error on NaN scores names the likely cause."""
    arranged = arrange(raw, model.input_shape, policy)
    inputs, bounds = arranged.inputs, bounds_of(raw, arranged.inputs, policy)
    preprocessing = Preprocessing.of(policy.mean, policy.std, device).taking(arranged.form)
    unlabelled = to_samples(inputs, None, raw.source, device)
    alone, outputs = judged_alone(model, raw, unlabelled, preprocessing, bounds, policy.output)

    def read(x: torch.Tensor) -> Examined:
        return _classifier(alone, x[:EXAMPLE], preprocessing, bounds)

    try:
        classifier = read(unlabelled.inputs)
        if classifier.one_logit:
            one_logit.require_both_labels(raw.labels)
        clean = to_samples(inputs, labels_of(raw, classifier.num_classes), raw.source, device)
        predicted = _predict(classifier, clean.inputs)
    except NotFiniteError as error:
        named = to_samples(inputs, None if raw.labels is None else raw.labels.reshape(-1), raw.source, device)
        raise NotFiniteError(f"{why_not_finite(read, named, preprocessing)}{error}") from None
    return Answered(alone, classifier, preprocessing, clean, predicted, outputs)


def samples_evidence(job: ScanJob, found: Answered, policy: SampleSettings) -> SamplesEvidence:
    """Return the model's accuracy on its clean samples and, where that is too low, under usual changes of them."""
    clean, predicted, classes = found.clean, found.predicted, found.classifier.num_classes
    seen = as_they_are(job, clean, predicted)
    if seen.accuracy is None or seen.accuracy >= least_accuracy(policy, classes)[0]:
        return seen
    trials = tried(found.classifier.logits, clean, predicted, classes, found.classifier.preprocessing)
    return seen.model_copy(update={"greatest": float(clean.inputs.max()), "tried": trials})


def as_they_are(job: ScanJob, clean: Samples, predicted: torch.Tensor) -> SamplesEvidence:
    """Return the account of clean samples, of which a model's first choices are `predicted` (N,)."""
    assert job.samples_sha256 is not None
    labels = clean.labels
    return SamplesEvidence(
        source=clean.source,
        sha256=job.samples_sha256,
        count=len(clean.inputs),
        classes_present=len(torch.unique(predicted if labels is None else labels)),
        accuracy=None if labels is None else float((predicted == labels).float().mean()),
        overridden=job.samples_overridden,
    )


def one_answer(predicted: torch.Tensor, seen: SamplesEvidence, classes: int) -> tuple[str, ...]:
    """Return the problem of a model that gives every sample the same class, if it does."""
    if len(predicted) > 1 and bool((predicted == predicted[0]).all()):
        cause, count, choice = likely_cause(seen, classes), len(predicted), int(predicted[0])
        said = f"The model gives class {choice} for every one of {count} clean samples: there is nothing to probe."
        return (f"{cause} {said}".strip(),)
    return ()


def _classifier(model: Model, example: torch.Tensor, preprocessing: Preprocessing, bounds: Bounds) -> Examined:
    def read() -> Examined:
        if isinstance(model.body, Program):
            return ProgramClassifier.of(model.body, example, preprocessing, bounds)
        return ModuleClassifier.of(model.body, example, preprocessing, bounds)

    return examined(read, shaped(example))


def _predict(classifier: Examined, inputs: torch.Tensor) -> torch.Tensor:
    """Return the first choices (N,); NaN is refused, and one number that cannot be a logit of two classes."""
    with torch.no_grad():
        logits = torch.cat([classifier.logits(chunk) for chunk in torch.split(inputs, at_once(inputs))])
    if not torch.isfinite(logits).all():
        raise NotFiniteError("the model yields NaN or infinite scores on clean samples")
    if classifier.one_logit and not classifier.squashed:
        one_logit.require_logit(2 * logits[:, 1])
    return logits.argmax(dim=1)


def at_once(inputs: torch.Tensor) -> int:
    """Return how many of some raw inputs (N, …) share the first pass: many small ones, few large ones."""
    return max(1, min(_MOST_AT_ONCE, _BYTES_AT_ONCE // max(1, inputs[:1].nbytes)))
