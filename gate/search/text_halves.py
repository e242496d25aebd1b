"""Clean texts in two parts: changes are chosen by one, and measured on the other, which had no say in the choice."""

from collections.abc import Callable

from gate.records.errors import UnexaminableError
from gate.records.run import Run
from gate.search.goals import varied_predictions
from gate.spaces.subject import Subject
from gate.spaces.text.contract import text_classifier
from gate.statistics.sentences import Sentences, halves


def both_halves(
    subject: Subject, selecting: Callable[[int], int], held_out: int, run: Run, *, what: str
) -> tuple[Sentences, Sentences]:
    """Return texts to choose by, and others to measure on; raise `UnexaminableError` where there are none of these.

    The classes are the samples' labels, else the model's own answers. `selecting` gives the texts of each class to
    choose by, from the number of classes; `what` names what is chosen, for the error.
    """
    classifier, samples = text_classifier(subject), subject.samples
    assert samples is not None
    answers = varied_predictions(classifier, samples.inputs, run)
    labels = answers if samples.labels is None else samples.labels
    first, second = halves(labels, selecting(len(set(labels.tolist()))), held_out, run.seed)
    if not len(second):
        raise UnexaminableError(f"there are too few clean texts: {what} are chosen by some and measured on others")
    return Sentences.of(classifier, samples, first, run), Sentences.of(classifier, samples, second, run)
