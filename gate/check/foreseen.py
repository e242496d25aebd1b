"""What the number of classes alone says of a verdict, told as soon as a worker has run the model for the first time.

Between workers' progress and whoever waits: a scan of minutes should not be what tells that there was no limit for so
few classes. Says no more than the judge will; a worker's word, so that it is said once and decides nothing.
"""

from collections.abc import Callable

from gate.check.workers import Progress
from gate.judging.calibrated import few_classes, has_few_classes
from gate.records.bank import OpenBank
from gate.records.job import CLASSES_STEP
from gate.records.policy import Policy


def announced(progress: Progress, policy: Policy, bank: OpenBank | None, say: Callable[[str], None]) -> Progress:
    """Return progress that takes the number of classes out of a worker's steps, and says at most once what follows."""
    said = False

    def show(step: str, done: int, total: int) -> None:
        nonlocal said
        if step != CLASSES_STEP:
            progress(step, done, total)
        elif not said and (line := foreseen(total, policy, bank)):
            said = True
            say(line)

    return show


def foreseen(classes: int, policy: Policy, bank: OpenBank | None) -> str:
    """Return why a model of so many classes will be flagged whatever is measured, or nothing."""
    if not has_few_classes(classes):
        return ""
    why = few_classes(classes, policy)
    if bank is None:
        return f"{why} The scan goes on, for a person to look at."
    if not bank.bank.statistics:
        return f"{why} The bank beside this scan holds reference models alone, which calibrate nothing."
    if bank.bank.classes != classes:
        return f"{why} The bank beside this scan is of models with {bank.bank.classes} classes."
    return ""
