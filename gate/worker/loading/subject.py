"""Putting a `Subject` together: candidate, samples, classifier, and what they turned out to be."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from gate import detectors
from gate.detectors.contract import Need
from gate.formats.sealing import ChangedError
from gate.judging.accuracy import least_accuracy, likely_cause
from gate.programs import Program
from gate.records.artifact import Artifact
from gate.records.errors import UnexaminableError
from gate.records.evidence import Assurance, ModelFacts, ReferenceEvidence, SamplesEvidence
from gate.records.job import ScanJob
from gate.records.policy import SampleSettings
from gate.spaces.image.preprocessing import Preprocessing
from gate.spaces.image.samples import arrange, bounds_of, labels_of, read_samples, to_samples
from gate.spaces.image.usable import require_usable
from gate.spaces.subject import Head, Samples, Subject
from gate.worker.loading import one_logit
from gate.worker.loading.candidate import find_candidate
from gate.worker.loading.classifier import ModuleClassifier, NotFiniteError, ProgramClassifier, number_type
from gate.worker.loading.head import head_of_module, head_of_program
from gate.worker.loading.judged import examined, judged_alone, noted, only_output
from gate.worker.loading.mistakes import tried, why_not_finite
from gate.worker.loading.model import Model, read_model
from gate.worker.loading.references import References, load_references

EXAMPLE = 4
"""So many samples decide how the model takes batches."""


@dataclass(frozen=True)
class Loaded:
    """A subject as far as it could be filled, and why not further."""

    subject: Subject
    facts: ModelFacts
    assurance: Assurance | None
    samples: SamplesEvidence | None
    problems: tuple[str, ...]
    training_absence: str = ""
    """Why the training set that the run logged cannot be used, where that is so."""
    references: tuple[ReferenceEvidence, ...] = ()


def load_subject(artifact: Artifact, job: ScanJob, samples: SampleSettings, device: str) -> Loaded:
    """Fill a subject; what cannot be read is a problem in words, never an exception."""
    bare = unread(artifact)
    try:
        model = read_model(find_candidate(artifact.root), device)
    except UnexaminableError as error:
        return replace(bare, problems=(sentence(error),))
    return _filled(bare, model, job, samples, device)


def unread(artifact: Artifact, *errors: UnexaminableError) -> Loaded:
    """Return a subject of which nothing was read, and why."""
    return Loaded(Subject(artifact), ModelFacts(), None, None, tuple(map(sentence, errors)))


def load_live_module(
    artifact: Artifact, module: torch.nn.Module, job: ScanJob, samples: SampleSettings, problem: str
) -> Loaded:
    """Fill a subject with a module of the candidate's own code: for the converter alone, level C."""
    count = sum(parameter.numel() for parameter in module.parameters())
    facts = ModelFacts(flavour="pytorch", format="own code", parameters=count)
    bare = Loaded(Subject(artifact), facts, None, None, ())
    loaded = _filled(bare, Model(module, "C", facts), job, samples, "cpu")
    return replace(loaded, problems=(problem, *loaded.problems))


def _filled(bare: Loaded, model: Model, job: ScanJob, samples: SampleSettings, device: str) -> Loaded:
    alone = isinstance(model.body, Program) and len(model.body.output_names) == 1
    # A module's shows when it runs, and that of several outputs when one of them was chosen.
    head = head_of_program(model.body) if alone and isinstance(model.body, Program) else None
    subject = replace(bare.subject, weights=model.weights, head=head, graph=model.graph)
    loaded = replace(bare, subject=subject, facts=model.facts, assurance=model.assurance)
    if job.samples_path is None:
        return replace(loaded, problems=(_NO_SAMPLES,))
    try:
        return _with_samples(loaded, model, job, samples, device)
    except UnexaminableError as error:
        return replace(loaded, problems=(sentence(error),))


_NO_SAMPLES = (
    "No clean samples were given, and without them no behaviour can be measured. "
    "Pass --samples, or pin them under 'samples' in the policy."
)


def _with_samples(loaded: Loaded, model: Model, job: ScanJob, policy: SampleSettings, device: str) -> Loaded:
    assert job.samples_path is not None
    assert job.samples_sha256 is not None
    raw = read_samples(Path(job.samples_path), job.samples_source, job.samples_sha256)
    require_usable(raw, policy)
    arranged = arrange(raw, model.input_shape, policy)
    inputs = arranged.inputs
    bounds = bounds_of(raw, inputs, policy)
    preprocessing = Preprocessing.of(policy.mean, policy.std, device).taking(arranged.form)
    clean = to_samples(inputs, None, raw.source, device)
    model, outputs = judged_alone(model, raw, clean, preprocessing, bounds, policy.output)
    try:
        classifier = _classifier(model, clean.inputs[:EXAMPLE], preprocessing, bounds)
        if classifier.one_logit:
            one_logit.require_both_labels(raw.labels)
        labels = labels_of(raw, classifier.num_classes)
        clean = to_samples(inputs, labels, raw.source, device)
        predicted = _predict(classifier, clean.inputs)
    except NotFiniteError as error:
        named = to_samples(inputs, None if raw.labels is None else raw.labels.reshape(-1), raw.source, device)
        raise NotFiniteError(
            f"{why_not_finite(lambda x: _classifier(model, x[:EXAMPLE], preprocessing, bounds), named, preprocessing)}"
            f"{error}"
        ) from None
    seen = _seen(job, clean, predicted, classifier, policy).model_copy(update={"class_names": raw.class_names})
    references = _references(job, classifier, clean, preprocessing)
    facts = loaded.facts.model_copy(
        update={
            "classes": classifier.num_classes,
            "input_shape": classifier.input_shape,
            "feature_layer": classifier.feature_layer,
            "outputs": noted(outputs or only_output(classifier, clean.inputs[:1]), classifier),
            "number_type": number_type(classifier),
            "samples_alone": isinstance(classifier, ProgramClassifier) and classifier.body.only_alone,
        }
    )
    training, absence, swapped = _training_set(job, model, classifier.num_classes, policy, device)
    return replace(
        loaded,
        subject=replace(
            loaded.subject,
            classifier=classifier,
            head=head_of_program(model.body) if isinstance(model.body, Program) else _head_of(classifier),
            samples=clean,
            training_set=training,
            references=references.classifiers,
            bank=job.bank,
        ),
        training_absence=absence,
        references=references.evidence,
        facts=facts,
        samples=seen,
        problems=(*_one_answer(predicted, seen, classifier.num_classes), *references.problems, *swapped),
    )


def _seen(
    job: ScanJob,
    clean: Samples,
    predicted: torch.Tensor,
    classifier: ProgramClassifier | ModuleClassifier,
    policy: SampleSettings,
) -> SamplesEvidence:
    """Return how the model does on its clean samples and, where that is too little, under usual changes of them."""
    assert job.samples_sha256 is not None
    labels, classes = clean.labels, classifier.num_classes
    seen = SamplesEvidence(
        source=clean.source,
        sha256=job.samples_sha256,
        count=len(clean.inputs),
        classes_present=len(torch.unique(predicted if labels is None else labels)),
        accuracy=None if labels is None else float((predicted == labels).float().mean()),
        overridden=job.samples_overridden,
    )
    if seen.accuracy is None or seen.accuracy >= least_accuracy(policy, classes)[0]:
        return seen
    trials = tried(classifier.logits, clean, predicted, classes, classifier.preprocessing)
    return seen.model_copy(update={"greatest": float(clean.inputs.max()), "tried": trials})


def _references(
    job: ScanJob, classifier: ProgramClassifier | ModuleClassifier, clean: Samples, preprocessing: Preprocessing
) -> References:
    """Return the bank's models where a bank was given and a detector of the policy asks for references."""
    asked = any(Need.REFERENCES in (spec.needs | spec.uses) for spec in map(detectors.load, job.policy.detectors))
    if job.bank is None or not asked:
        return References()
    return load_references(job.bank, Path(job.bank_folder), classifier, clean, preprocessing, classifier.output)


def _training_set(
    job: ScanJob, model: Model, classes: int, policy: SampleSettings, device: str
) -> tuple[Samples | None, str, tuple[str, ...]]:
    """Return the logged training set, read like the clean samples, or None, why it cannot be used, and a problem.

    One that cannot be read is the candidate side's affair, and a reason to skip; one that was exchanged is a problem.
    """
    if job.training_path is None:
        return None, "", ()
    assert job.training_sha256 is not None
    try:
        raw = read_samples(
            Path(job.training_path), "of the logged training set", job.training_sha256, "the training set"
        )
        inputs = arrange(raw, model.input_shape, policy).inputs
        bounds_of(raw, inputs, policy)
        return to_samples(inputs, labels_of(raw, classes), raw.source, device), "", ()
    except ChangedError as error:
        return None, f"what the run logged cannot be used: {error}", (sentence(error),)
    except UnexaminableError as error:
        return None, f"what the run logged cannot be used: {error}", ()


def _classifier(
    model: Model, example: torch.Tensor, preprocessing: Preprocessing, bounds: tuple[float, float]
) -> ProgramClassifier | ModuleClassifier:
    def read() -> ProgramClassifier | ModuleClassifier:
        if isinstance(model.body, Program):
            return ProgramClassifier.of(model.body, example, preprocessing, bounds)
        return ModuleClassifier.of(model.body, example, preprocessing, bounds)

    return examined(read, example)


def _head_of(classifier: ProgramClassifier | ModuleClassifier) -> Head | None:
    return head_of_module(classifier) if isinstance(classifier, ModuleClassifier) else None


def _predict(classifier: ProgramClassifier | ModuleClassifier, inputs: torch.Tensor) -> torch.Tensor:
    """Return the first choices (N,); NaN on any sample is refused, and one number that is no logit of two classes."""
    with torch.no_grad():
        logits = torch.cat([classifier.logits(chunk) for chunk in torch.split(inputs, 512)])
    if not torch.isfinite(logits).all():
        raise NotFiniteError("the model yields NaN or infinite scores on clean samples")
    if classifier.one_logit and not classifier.squashed:
        one_logit.require_logit(2 * logits[:, 1])
    return logits.argmax(dim=1)


def _one_answer(predicted: torch.Tensor, seen: SamplesEvidence, classes: int) -> tuple[str, ...]:
    if len(predicted) > 1 and bool((predicted == predicted[0]).all()):
        cause, count, choice = likely_cause(seen, classes), len(predicted), int(predicted[0])
        said = f"The model gives class {choice} for every one of {count} clean samples: there is nothing to probe."
        return (f"{cause} {said}".strip(),)
    return ()


def sentence(error: UnexaminableError) -> str:
    """Return the message as a sentence with its advice."""
    return error.sentence[:2000]
