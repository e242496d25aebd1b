"""A `Subject` from candidate, samples and classifier, with the facts found on the way."""

from dataclasses import replace
from pathlib import Path

import torch

from gate import detectors, spaces
from gate.detectors.contract import Need
from gate.formats.sealing import ChangedError
from gate.programs import Program
from gate.records.artifact import Artifact
from gate.records.errors import UnexaminableError
from gate.records.facts import ModelFacts
from gate.records.job import ScanJob
from gate.records.sample_settings import SampleSettings
from gate.spaces.image.samples import arrange, bounds_of, labels_of, read_samples, to_samples
from gate.spaces.image.usable import require_usable
from gate.spaces.subject import Samples, Subject
from gate.worker.clean_samples import raw_samples
from gate.worker.loading.answers import Answered, answered, one_answer, samples_evidence
from gate.worker.loading.candidate import find_candidate
from gate.worker.loading.head import head_of_module, head_of_program
from gate.worker.loading.judged import noted, number_type, only_output
from gate.worker.loading.loaded import Loaded, sentence, unread
from gate.worker.loading.model import Model, read_model
from gate.worker.loading.onnx_models import onnx_inputs, require_same
from gate.worker.loading.previous import load_previous
from gate.worker.loading.program_classifier import ProgramClassifier
from gate.worker.loading.references import References, load_references
from gate.worker.loading.texts import with_texts
from gate.worker.loading.token_programs import with_tokenizer


def load_subject(artifact: Artifact, job: ScanJob, samples: SampleSettings, device: str) -> Loaded:
    """Fill a subject; what cannot be read is a problem, never an exception."""
    bare = unread(artifact)
    try:
        candidate = find_candidate(artifact.root)
        model = with_tokenizer(artifact.root, read_model(candidate, device))
        if candidate.format == "onnx" and isinstance(model.body, Program) and job.samples_path is not None:
            require_same(candidate.path, model.body.to("cpu"), onnx_inputs(job, model.body))
    except UnexaminableError as error:
        return replace(bare, problems=(sentence(error),))
    return _filled(bare, model, job, samples, device)


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
    body = model.body
    # A module's head shows when it runs, and that of several outputs when one was chosen.
    head = head_of_program(body) if isinstance(body, Program) and len(body.output_names) == 1 else None
    subject = replace(bare.subject, space=model.space, weights=model.weights, head=head, graph=model.graph)
    facts = model.facts.model_copy(update={"space": model.space})
    loaded = replace(bare, subject=subject, facts=facts, assurance=model.assurance)
    if job.samples_path is None:
        return replace(loaded, problems=(_NO_SAMPLES,))
    try:
        if model.text is not None:
            return with_texts(loaded, model, model.text, job, samples)
        return _with_samples(loaded, model, job, samples, device)
    except UnexaminableError as error:
        return replace(loaded, problems=(sentence(error),))


_NO_SAMPLES = (
    "No clean samples were given, and without them no behaviour can be measured. "
    "Pass --samples, or pin them under 'samples' in the policy."
)


def _with_samples(loaded: Loaded, model: Model, job: ScanJob, policy: SampleSettings, device: str) -> Loaded:
    raw = raw_samples(job)
    require_usable(raw, policy)
    found = answered(model, raw, policy, device)
    classifier, classes = found.classifier, found.classifier.num_classes
    if isinstance(classifier, ProgramClassifier) and job.arithmetic == "auto":
        classifier.choose_forms(found.clean.inputs)
    seen = samples_evidence(job, found, policy).model_copy(update={"class_names": raw.class_names})
    references = _references(job, found)
    training, absence, swapped = _training_set(job, model, classes, policy, device)
    beside = load_previous(job, found)
    body = found.model.body
    subject = replace(
        loaded.subject,
        classifier=classifier,
        head=head_of_program(body) if isinstance(body, Program) else head_of_module(classifier),
        samples=found.clean,
        training_set=training,
        references=references.classifiers,
        bank=job.bank,
        previous=beside.previous,
    )
    return replace(
        loaded,
        subject=subject,
        training_absence=absence,
        references=references.evidence,
        previous=beside.claims,
        previous_absence=beside.absence,
        facts=loaded.facts.model_copy(update=_facts(found)),
        samples=seen,
        problems=(*one_answer(found.predicted, seen, classes), *references.problems, *swapped, *beside.problems),
    )


def _facts(found: Answered) -> dict[str, object]:
    """Return the facts that running the model on its samples has shown."""
    classifier = found.classifier
    return {
        **spaces.load(classifier.space).facts(classifier),
        "classes": classifier.num_classes,
        "feature_layer": classifier.feature_layer,
        "outputs": noted(found.outputs or only_output(classifier, found.clean.inputs[:1]), classifier),
        "number_type": number_type(classifier),
        "arithmetic": classifier.arithmetic,
        "input_axes": "" if found.preprocessing.form == "NCHW" else found.preprocessing.form,
        "samples_alone": isinstance(classifier, ProgramClassifier) and classifier.body.only_alone,
    }


def _references(job: ScanJob, found: Answered) -> References:
    """Return the bank's models if there is a bank and a detector of the policy asks for references."""
    asked = any(Need.REFERENCES in (spec.needs | spec.uses) for spec in map(detectors.load, job.policy.detectors))
    if job.bank is None or not asked:
        return References()
    folder, candidate = Path(job.bank_folder), found.classifier
    return load_references(job.bank, folder, candidate, found.clean, found.preprocessing, candidate.output)


def _training_set(
    job: ScanJob, model: Model, classes: int, policy: SampleSettings, device: str
) -> tuple[Samples | None, str, tuple[str, ...]]:
    """Return the logged training set, read like the clean samples, or None and why, and a problem.

    One that cannot be read is a reason to skip detectors; one that was exchanged since the pull is a problem.
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
    except UnexaminableError as error:
        problems = (sentence(error),) if isinstance(error, ChangedError) else ()
        return None, f"what the run logged cannot be used: {error}", problems
