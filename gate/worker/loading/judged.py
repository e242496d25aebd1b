"""The candidate's judged output, chosen with its clean samples; the model continues with that one alone."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import torch

from gate.programs import Program
from gate.programs.batching import several_inputs
from gate.programs.numbers import HALVES
from gate.programs.readers.pt2.outputs import ALONE
from gate.records.errors import UnexaminableError
from gate.records.facts import OutputFacts
from gate.spaces.contract import Bounds
from gate.spaces.image.preprocessing import Preprocessing, given
from gate.spaces.image.samples import labels_of
from gate.spaces.image.stored import RawSamples
from gate.spaces.subject import Samples
from gate.statistics.subsets import balanced
from gate.worker.loading import one_logit
from gate.worker.loading.model import Model
from gate.worker.loading.module_classifier import ModuleClassifier
from gate.worker.loading.outputs import Outputs, choose, type_name, unknown_output
from gate.worker.loading.program_classifier import EXAMPLE, ProgramClassifier
from gate.worker.loading.references import MOST_SAMPLES, right_answers
from gate.worker.loading.scores import MAX_CLASSES

Examined = ProgramClassifier | ModuleClassifier
Seen = TypeVar("Seen")


def judged_alone(
    model: Model, raw: RawSamples, clean: Samples, preprocessing: Preprocessing, bounds: Bounds, stated: str | None
) -> tuple[Model, tuple[OutputFacts, ...]]:
    """Return the model with its judged output alone, and the record of each output of a program.

    `stated` is the policy's choice. A module returns one tensor or is refused when it runs, and has no record yet.
    """
    program = model.body
    if not isinstance(program, Program):
        if stated not in {None, ALONE}:
            raise unknown_output(str(stated), f"'{ALONE}' alone")
        return model, ()
    example = clean.inputs[:EXAMPLE]
    outputs = examined(lambda: Outputs.of(*_given(program, preprocessing, example)), shaped(example))
    expected = _labelled(outputs, raw, clean, span := _span(raw))

    def right(position: int) -> int:
        assert expected is not None
        alone = program.with_output(position)
        return right_answers(lambda: ProgramClassifier.of(alone, example, preprocessing, bounds), expected)

    position = choose(outputs, stated, span, right)
    return replace(model, body=program.with_output(position)), outputs.records(position)


def _span(raw: RawSamples) -> int | None:
    """Return how many classes the labels span; None without labels, or where they cannot be classes."""
    if raw.labels is None or raw.labels.dtype.kind not in "iubf" or raw.labels.size == 0:
        return None
    greatest = raw.labels.max()
    return int(greatest) + 1 if 0 <= greatest < MAX_CLASSES else None


def _given(program: Program, preprocessing: Preprocessing, example: torch.Tensor) -> tuple[Program, torch.Tensor]:
    if len(program.inputs) != 1:
        raise several_inputs(program)
    runs, gives = given(program, preprocessing)
    return runs, gives(example)


def _labelled(outputs: Outputs, raw: RawSamples, clean: Samples, span: int | None) -> Samples | None:
    """Return the samples that tell several outputs of class scores apart; None where none are needed."""
    if len(outputs.choices(span)) < 2 or raw.labels is None:
        return None
    labels = labels_of(raw, max(output.classes for output in outputs.every))
    assert labels is not None
    return balanced(Samples(clean.inputs, torch.from_numpy(labels).to(clean.inputs.device), ""), MOST_SAMPLES, 0)


def only_output(classifier: Examined, one: torch.Tensor) -> tuple[OutputFacts, ...]:
    """Return the record of a module's one tensor."""
    with torch.no_grad():
        scores = classifier.logits(one)
    shape = (1,) if classifier.one_logit else tuple(scores.shape[1:])
    return (OutputFacts(name=classifier.output, shape=shape, dtype=type_name(scores.dtype), role="judged"),)


def noted(outputs: tuple[OutputFacts, ...], classifier: Examined) -> tuple[OutputFacts, ...]:
    """Return the records, where the judged output is one number with the way it was read."""
    if not classifier.one_logit:
        return outputs
    how = one_logit.NOTES[classifier.squashed]
    return tuple(one.model_copy(update={"note": how}) if one.role == "judged" else one for one in outputs)


def shaped(example: torch.Tensor) -> str:
    """Return a few samples as a message names them."""
    return f"the samples, shape {tuple(example.shape)}"


def examined(look: Callable[[], Seen], given: str) -> Seen:
    """Return what `look` gives; an error of running the model on what was given becomes an `UnexaminableError`."""
    try:
        return look()
    except UnexaminableError:
        raise
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        why = f"{type(error).__name__}: {str(error)[:300]}"
        raise UnexaminableError(f"the model does not accept {given}: {why}") from None


def number_type(classifier: Examined) -> str:
    """Return a note on the type that a model takes; empty for float32."""
    dtype = classifier.preprocessing.dtype
    if dtype == torch.float32:
        return ""
    if dtype in HALVES:
        return f"{type_name(dtype)}, measured as it is; a float32 copy lends gradients"
    return f"{type_name(dtype)}, " + ("measured as it is" if dtype.is_floating_point else "given as rounded floats")
