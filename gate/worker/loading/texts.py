"""A subject of tokens: network and tokenizer as a classifier, its clean texts, and the facts found on the way."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import torch

from gate import spaces
from gate.formats.log_again import SEVERAL_LABELS
from gate.formats.sealing import ChangedError
from gate.judging.accuracy import least_accuracy
from gate.programs import Program
from gate.programs.readers.pt2.outputs import ALONE
from gate.records.errors import UnexaminableError
from gate.records.facts import OutputFacts
from gate.records.job import ScanJob
from gate.records.sample_settings import SampleSettings
from gate.records.samples_evidence import SamplesEvidence
from gate.spaces.subject import Samples
from gate.spaces.text.labels import class_numbers
from gate.spaces.text.samples import read_samples
from gate.spaces.text.stored import RawTexts
from gate.spaces.text.usable import require_usable
from gate.worker.clean_samples import raw_texts
from gate.worker.loading.answers import as_they_are, one_answer
from gate.worker.loading.head import head_of_program
from gate.worker.loading.judged import examined
from gate.worker.loading.loaded import Loaded, sentence
from gate.worker.loading.mistakes import renumbered
from gate.worker.loading.model import Model
from gate.worker.loading.one_logit import NOTES, require_both_labels, require_logit
from gate.worker.loading.padding import blind_to_typed_padding, padding_counts
from gate.worker.loading.scores import NotFiniteError
from gate.worker.loading.text_classifier import EXAMPLE, TextModel, TokenClassifier

_ROUNDING: Final = 0.01
"""How far probabilities of classes that exclude each other may be from 1 together."""
_LOGGED: Final = "of the logged training set"
_NO_PREVIOUS: Final = "versions of models that take tokens are not compared yet"


def with_texts(loaded: Loaded, model: Model, text: TextModel, job: ScanJob, policy: SampleSettings) -> Loaded:
    """Fill a subject with the classifier and its clean texts; what cannot be used raises `UnexaminableError`."""
    raw = raw_texts(job)
    require_usable(raw, policy)
    texts = [row.text for row in raw.rows]
    longest = policy.longest(text.longest)
    parts = (text.network, text.tokenizer, longest, text.split)
    classifier = examined(lambda: TokenClassifier.of(*parts, texts[:EXAMPLE]), "the tokens of the samples")
    clean = _samples(raw, classifier, policy.classes or text.class_names)
    counts = _as_served(classifier, clean)
    predicted = _predicted(classifier, clean)
    training, absence, swapped = _training_set(job, classifier, policy.classes or text.class_names)
    if job.arithmetic == "auto":
        classifier.choose_forms(clean.inputs)
    cut = classifier.cut(clean.texts, clean.inputs)
    seen = _evidence(job, clean, predicted, policy, classifier.num_classes).model_copy(update={"cut": len(cut)})
    head = head_of_program(model.body) if isinstance(model.body, Program) else None
    return replace(
        loaded,
        subject=replace(
            loaded.subject,
            classifier=classifier,
            head=head,
            samples=_shortened(clean, classifier, cut),
            training_set=training,
            bank=job.bank,
        ),
        training_absence=absence,
        previous_absence=_NO_PREVIOUS if job.previous else "",
        facts=loaded.facts.model_copy(update={**_facts(classifier), "padding_counts": counts}),
        samples=seen,
        problems=(*one_answer(predicted, seen, classifier.num_classes), *swapped),
    )


def _as_served(classifier: TokenClassifier, clean: Samples) -> bool:
    """Tell whether padding changes answers; halves that do not show what typed padding does are left out."""
    if blind_to_typed_padding(classifier, clean.inputs):
        classifier.split = None
    return padding_counts(classifier, clean.inputs)


def _samples(raw: RawTexts, classifier: TokenClassifier, names: Mapping[int, str]) -> Samples:
    """Return texts as tokens, with labels as class numbers."""
    labels = class_numbers(raw, names, classifier.num_classes)
    if classifier.one_logit:
        require_both_labels(None if labels is None else np.asarray(labels))
    texts = tuple(row.text for row in raw.rows)
    tokens = classifier.tokens(texts)
    numbers = None if labels is None else torch.tensor(labels, device=tokens.device)
    return Samples(tokens, numbers, raw.source, texts)


def _shortened(clean: Samples, classifier: TokenClassifier, cut: Sequence[int]) -> Samples:
    """Return samples whose cut texts are their beginnings alone.

    The rest reaches no model, and would be made into tokens again with each word that is put in; a word behind the cut
    would not reach it either.
    """
    if not cut:
        return clean
    texts = classifier.beginnings(clean.texts, cut)
    return replace(clean, inputs=classifier.tokens(texts), texts=texts)


def _predicted(classifier: TokenClassifier, clean: Samples) -> torch.Tensor:
    """Return the first choices (N,)."""
    with torch.no_grad():
        logits = classifier.logits(clean.inputs)
    if not torch.isfinite(logits).all():
        raise NotFiniteError("the model yields NaN or infinite scores on clean samples")
    if not classifier.one_logit:
        _require_one_answer(logits)
    elif not classifier.squashed:
        require_logit(2 * logits[:, 1])
    return logits.argmax(dim=1)


def _require_one_answer(scores: torch.Tensor) -> None:
    """Refuse scores (N, K) that are sigmoids: of several labels at once none is the model's answer."""
    probabilities = bool(((scores >= 0) & (scores <= 1)).all())
    if probabilities and not torch.allclose(scores.sum(dim=1), scores.new_ones(()), atol=_ROUNDING):
        raise UnexaminableError(
            f"the model gives {scores.shape[1]} numbers between 0 and 1 that do not add up to 1: {SEVERAL_LABELS}",
            what_to_do="Log one version for each label, whose two scores are 0 and the label's own "
            "(docs/how-to/text.md).",
        )


def _training_set(
    job: ScanJob, classifier: TokenClassifier, names: Mapping[int, str]
) -> tuple[Samples | None, str, tuple[str, ...]]:
    """Return the logged training set, or None and why, and a problem where it was exchanged since the pull."""
    if job.training_path is None:
        return None, "", ()
    assert job.training_sha256 is not None
    try:
        raw = read_samples(Path(job.training_path), _LOGGED, job.training_sha256, "the training set")
        return _samples(raw, classifier, names), "", ()
    except UnexaminableError as error:
        problems = (sentence(error),) if isinstance(error, ChangedError) else ()
        return None, f"what the run logged cannot be used: {error}", problems


def _evidence(
    job: ScanJob, clean: Samples, predicted: torch.Tensor, policy: SampleSettings, classes: int
) -> SamplesEvidence:
    """Return the model's accuracy on its texts and, where that is too low, with the labels in another order."""
    seen = as_they_are(job, clean, predicted)
    if clean.labels is None or seen.accuracy is None or seen.accuracy >= least_accuracy(policy, classes)[0]:
        return seen
    by_one, mixed = renumbered(clean.labels, predicted, classes)
    return seen.model_copy(update={"tried": (*by_one, *mixed)})


def _facts(classifier: TokenClassifier) -> dict[str, object]:
    """Return the facts that running the model on its texts has shown."""
    note = NOTES[classifier.squashed] if classifier.one_logit else ""
    shape = (1,) if classifier.one_logit else (classifier.num_classes,)
    return {
        **spaces.load("tokens").facts(classifier),
        "classes": classifier.num_classes,
        "feature_layer": classifier.feature_layer,
        "samples_alone": classifier.only_alone,
        "arithmetic": classifier.arithmetic,
        "outputs": (OutputFacts(name=ALONE, shape=shape, role="judged", note=note),),
    }
