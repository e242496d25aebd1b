"""The bank's reference models as classifiers, read by the strict reader alone.

A reference that cannot be read, has another shape or other classes, or is hardly better than chance on the clean
samples says nothing about a trigger: it is recorded with its reason, and not used.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from gate.formats.sealing import ChangedError, as_pulled
from gate.judging.accuracy import clear_of_chance
from gate.programs import Program, read_program
from gate.programs.readers.pt2.outputs import ALONE
from gate.programs.readers.pt2.tensors import refuse_non_finite
from gate.records.bank import Bank, Reference, reference_path
from gate.records.bank_evidence import ReferenceEvidence
from gate.records.errors import UnexaminableError
from gate.spaces.image.layouts import fits, in_form
from gate.spaces.image.preprocessing import Preprocessing, given
from gate.spaces.subject import Classifier, ImageClassifier, Samples
from gate.statistics.subsets import balanced
from gate.worker.loading.outputs import Outputs, choose_like
from gate.worker.loading.program_classifier import EXAMPLE, ProgramClassifier

MOST_SAMPLES = 60
"""Clean samples that decide whether a reference does the task: enough to tell it from chance."""
_BATCH = 256
_BANK_ADVICE = "Put the bank back as it was made, where nothing else writes to it, and check again."


@dataclass(frozen=True)
class References:
    """The references that can be used, and the evidence of each."""

    classifiers: tuple[ProgramClassifier, ...] = ()
    evidence: tuple[ReferenceEvidence, ...] = ()
    problems: tuple[str, ...] = ()
    """Files that changed since the check began."""


@dataclass(frozen=True)
class Beside:
    """The candidate, its samples and its preprocessing, for every model beside it."""

    candidate: ImageClassifier
    expected: Samples
    preprocessing: Preprocessing
    output: str

    @classmethod
    def of(cls, candidate: ImageClassifier, samples: Samples, preprocessing: Preprocessing, output: str) -> "Beside":
        """Take a few samples; without labels, the candidate's own answers are what is expected."""
        few = balanced(samples, MOST_SAMPLES, 0)
        expected = few if few.labels is not None else replace(few, labels=_choices(candidate, few.inputs))
        return cls(candidate, expected, preprocessing, output)


def load_references(
    bank: Bank,
    folder: Path,
    candidate: ImageClassifier,
    samples: Samples,
    preprocessing: Preprocessing,
    output: str = ALONE,
) -> References:
    """Read every reference of a bank, and give it inputs exactly as the candidate gets them.

    `output` names the candidate's judged output, which selects among several of a reference.
    """
    beside = Beside.of(candidate, samples, preprocessing, output)
    problems: list[str] = []
    loaded = [_load(reference, folder, beside, problems) for reference in bank.references]
    return References(
        tuple(classifier for classifier, _ in loaded if classifier is not None),
        tuple(evidence for _, evidence in loaded),
        tuple(problems),
    )


def _choices(classifier: Classifier, inputs: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        logits = torch.cat([classifier.logits(chunk) for chunk in torch.split(inputs, _BATCH)])
    if not torch.isfinite(logits).all():
        raise UnexaminableError("it yields NaN or infinite scores on clean samples")
    return logits.argmax(dim=1)


def right_answers(make: Callable[[], Classifier], expected: Samples) -> int:
    """Return how many samples a classifier gets right; -1 where it cannot be made, or run on them."""
    assert expected.labels is not None
    try:
        return int((_choices(make(), expected.inputs) == expected.labels).sum())
    except (UnexaminableError, RuntimeError, ValueError, TypeError, IndexError):
        return -1


def _load(
    reference: Reference, folder: Path, beside: Beside, problems: list[str]
) -> tuple[ProgramClassifier | None, ReferenceEvidence]:
    accuracy = None
    try:
        classifier = _read(reference, folder, beside)
        expected, candidate = beside.expected, beside.candidate
        assert expected.labels is not None
        accuracy = float((_choices(classifier, expected.inputs) == expected.labels).float().mean())
        least = clear_of_chance(candidate.num_classes)
        why = "" if accuracy >= least else f"it gets {accuracy:.1%} of the clean samples right; expected {least:.1%}"
    except ChangedError as error:
        why = str(error)
        problems.append(ChangedError(why, what_to_do=_BANK_ADVICE).sentence[:2000])
    except UnexaminableError as error:
        why = str(error)
    except (RuntimeError, ValueError, TypeError, IndexError, OSError) as error:
        why = f"it does not accept the samples: {type(error).__name__}: {str(error)[:300]}"
    evidence = ReferenceEvidence(
        path=reference.path, sha256=reference.sha256, used=not why, why=why[:2000], accuracy=accuracy
    )
    return (None if why else classifier), evidence


def _read(reference: Reference, folder: Path, beside: Beside) -> ProgramClassifier:
    path = reference_path(folder, reference)
    what = f"the bank's reference {reference.path[:200]!r}"
    if path is None:
        raise ChangedError(f"{what} is gone; when the check began it was sha256:{reference.sha256}")
    with as_pulled(path, reference.sha256, what):
        program = read_program(path)
    return alike(program, beside)


def alike(program: Program, beside: Beside) -> ProgramClassifier:
    """Return a program as a classifier that gets its inputs as the candidate does, or raise `UnexaminableError`."""
    candidate, expected = beside.candidate, beside.expected
    refuse_non_finite(program.parameters)
    stated = program.input_shapes[0][1:] if len(program.input_shapes) == 1 else None
    wanted = in_form(candidate.input_shape, beside.preprocessing.form)
    if stated is not None and not fits(wanted, stated):
        raise UnexaminableError(f"it takes inputs of shape {stated}; the candidate takes {wanted}")
    example = expected.inputs[:EXAMPLE]
    program = program.to(str(example.device))

    def by(position: int) -> ProgramClassifier:
        return ProgramClassifier.of(program.with_output(position), example, beside.preprocessing, candidate.bounds)

    runs, gives = given(program, beside.preprocessing)
    outputs = Outputs.of(runs, gives(example))
    position = choose_like(
        outputs, beside.output, candidate.num_classes, lambda place: right_answers(lambda: by(place), expected)
    )
    classifier = by(position)
    if classifier.num_classes != candidate.num_classes:
        raise UnexaminableError(f"it has {classifier.num_classes} classes; the candidate has {candidate.num_classes}")
    return classifier
