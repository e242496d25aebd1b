"""Putting a `Subject` together: candidate, samples, classifier, and what they turned out to be."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from gate.artifact import Artifact
from gate.errors import UnexaminableError
from gate.evidence import Assurance, ModelFacts, SamplesEvidence
from gate.graph import Graph
from gate.job import ScanJob
from gate.loading.candidate import Candidate, find_candidate
from gate.loading.classifier import ModuleClassifier, ProgramClassifier
from gate.loading.dataflow import graph_of
from gate.loading.exported import Program, read_program
from gate.loading.exported.tensors import refuse_non_finite
from gate.loading.head import head_of_module, head_of_program
from gate.loading.modules import load_library_module
from gate.loading.preprocessing import Preprocessing
from gate.loading.samples import arrange, bounds_of, labels_of, read_samples, to_samples
from gate.loading.state_dict import load_state_dict
from gate.policy import SampleSettings
from gate.subject import Samples, Subject

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


@dataclass(frozen=True)
class _Model:
    body: Program | torch.nn.Module
    assurance: Assurance
    facts: ModelFacts
    graph: Graph | None = None

    @property
    def input_shape(self) -> tuple[int | None, ...] | None:
        """The shape of one input where the program states it."""
        if not isinstance(self.body, Program) or len(self.body.input_shapes) != 1:
            return None
        return self.body.input_shapes[0][1:]

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        """Parameters and buffers by their qualified names."""
        if isinstance(self.body, Program):
            return {**self.body.constants, **self.body.buffers, **self.body.parameters}
        return {**dict(self.body.named_buffers()), **dict(self.body.named_parameters())}


def load_subject(artifact: Artifact, job: ScanJob, samples: SampleSettings, device: str) -> Loaded:
    """Fill a subject; what cannot be read is a problem in words, never an exception."""
    bare = Loaded(Subject(artifact), ModelFacts(), None, None, ())
    try:
        model = _read_model(find_candidate(artifact.root), device)
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
    loaded = _filled(bare, _Model(module, "C", facts), job, samples, "cpu")
    return replace(loaded, problems=(problem, *loaded.problems))


def _filled(bare: Loaded, model: "_Model", job: ScanJob, samples: SampleSettings, device: str) -> Loaded:
    head = head_of_program(model.body) if isinstance(model.body, Program) else None  # a module's shows when it runs
    subject = replace(bare.subject, weights=model.weights, head=head, graph=model.graph)
    loaded = replace(bare, subject=subject, facts=model.facts, assurance=model.assurance)
    if job.samples_path is None:
        return replace(loaded, problems=(_NO_SAMPLES,))
    try:
        return _with_samples(loaded, model, job, samples, device)
    except UnexaminableError as error:
        return replace(loaded, problems=(sentence(error),))


_COMPOSED = "The candidate brings no graph: its layers are composed by the code of torch or of the gate alone."
_NO_SAMPLES = (
    "No clean samples were given, and without them no behaviour can be measured. "
    "Pass --samples, or pin them under 'samples' in the policy."
)


def _read_model(candidate: Candidate, device: str) -> _Model:
    facts = ModelFacts(flavour=candidate.flavour, format=candidate.format)
    if candidate.format == "pt2":
        program = read_program(candidate.path).to(device)
        refuse_non_finite(program.parameters)
        count = sum(tensor.numel() for tensor in program.parameters.values())
        return _Model(program, "A", facts.model_copy(update={"parameters": count}), _graph(program))
    if candidate.format == "state-dict":
        filled, name = load_state_dict(candidate.path)
        return _module(filled, facts.model_copy(update={"format": f"state-dict ({name})"}), device)
    module = load_library_module(candidate.path)
    if module is None:
        raise UnexaminableError(
            "the model is a pickle that does not load as library layers alone; loading it otherwise would run its code"
        )
    refuse_non_finite(dict(module.named_parameters()))
    return _module(module, facts, device)


def _graph(program: Program) -> Graph:
    """Return the program's graph, or one that says why its sizes cannot be worked out."""
    try:
        return graph_of(program)
    except UnexaminableError as error:
        return Graph(refused=str(error))


def _module(module: torch.nn.Module, facts: ModelFacts, device: str) -> _Model:
    count = sum(parameter.numel() for parameter in module.parameters())
    return _Model(module.to(device), "A", facts.model_copy(update={"parameters": count}), Graph(composed=_COMPOSED))


def _with_samples(loaded: Loaded, model: _Model, job: ScanJob, policy: SampleSettings, device: str) -> Loaded:
    assert job.samples_path is not None
    assert job.samples_sha256 is not None
    raw = read_samples(Path(job.samples_path), job.samples_source)
    inputs = arrange(raw, model.input_shape, policy)
    bounds = bounds_of(raw, inputs, policy)
    preprocessing = Preprocessing.of(policy.mean, policy.std, device)
    clean = to_samples(inputs, None, raw.source, device)
    classifier = _classifier(model, clean.inputs[:EXAMPLE], preprocessing, bounds)
    labels = labels_of(raw, classifier.num_classes)
    clean = to_samples(inputs, labels, raw.source, device)
    predicted = _predict(classifier, clean.inputs)
    facts = loaded.facts.model_copy(
        update={
            "classes": classifier.num_classes,
            "input_shape": classifier.input_shape,
            "feature_layer": classifier.feature_layer,
        }
    )
    training, absence = _training_set(job, model, classifier.num_classes, policy, device)
    return replace(
        loaded,
        subject=replace(
            loaded.subject,
            classifier=classifier,
            head=head_of_module(classifier) if isinstance(classifier, ModuleClassifier) else loaded.subject.head,
            samples=clean,
            training_set=training,
        ),
        training_absence=absence,
        facts=facts,
        samples=SamplesEvidence(
            source=raw.source,
            sha256=job.samples_sha256,
            count=len(inputs),
            classes_present=len(set((labels if labels is not None else predicted.cpu().numpy()).tolist())),
            accuracy=None if clean.labels is None else float((predicted == clean.labels).float().mean()),
            overridden=job.samples_overridden,
        ),
        problems=_one_answer(predicted, clean),
    )


def _training_set(
    job: ScanJob, model: _Model, classes: int, policy: SampleSettings, device: str
) -> tuple[Samples | None, str]:
    """Return the logged training set, read like the clean samples, or None and why what was logged cannot be used."""
    if job.training_path is None:
        return None, ""
    try:
        raw = read_samples(Path(job.training_path), "of the logged training set")
        inputs = arrange(raw, model.input_shape, policy)
        bounds_of(raw, inputs, policy)
        return to_samples(inputs, labels_of(raw, classes), raw.source, device), ""
    except UnexaminableError as error:
        return None, f"what the run logged cannot be used: {error}"


def _classifier(
    model: _Model, example: torch.Tensor, preprocessing: Preprocessing, bounds: tuple[float, float]
) -> ProgramClassifier | ModuleClassifier:
    try:
        if isinstance(model.body, Program):
            return ProgramClassifier.of(model.body, example, preprocessing, bounds)
        return ModuleClassifier.of(model.body, example, preprocessing, bounds)
    except UnexaminableError:
        raise
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise UnexaminableError(
            f"the model does not accept the samples, shape {tuple(example.shape)}: "
            f"{type(error).__name__}: {str(error)[:300]}"
        ) from None


def _predict(classifier: ProgramClassifier | ModuleClassifier, inputs: torch.Tensor) -> torch.Tensor:
    """Return the first choices (N,); NaN on any sample is refused."""
    choices = []
    with torch.no_grad():
        for chunk in torch.split(inputs, 512):
            logits = classifier.logits(chunk)
            if not torch.isfinite(logits).all():
                raise UnexaminableError("the model yields NaN or infinite scores on clean samples")
            choices.append(logits.argmax(dim=1))
    return torch.cat(choices)


def _one_answer(predicted: torch.Tensor, samples: Samples) -> tuple[str, ...]:
    if len(samples.inputs) > 1 and bool((predicted == predicted[0]).all()):
        count, choice = len(predicted), int(predicted[0])
        return (f"The model gives class {choice} for every one of {count} clean samples: there is nothing to probe.",)
    return ()


def sentence(error: UnexaminableError) -> str:
    """Return the message as a sentence with its advice."""
    message = str(error)
    text = f"{message[:1].upper()}{message[1:]}."
    return f"{text} {error.what_to_do}".strip()[:2000]
