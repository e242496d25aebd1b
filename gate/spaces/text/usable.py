"""Faults of clean texts that need no model to see: one sentence with the likely cause and the remedy."""

from gate.records.errors import UnexaminableError
from gate.records.sample_settings import SampleSettings
from gate.spaces.text.labels import MOST_NAMED, class_numbers
from gate.spaces.text.stored import Label, RawTexts, shown


def require_usable(raw: RawTexts, settings: SampleSettings) -> None:
    """Raise `UnexaminableError` where texts are right for no model."""
    _require_labels(raw, settings)
    if not raw.labelled:
        if len({row.text for row in raw.rows}) == 1:
            raise _wrong(raw, "hold one text; expected several different ones of each class")
        return
    if raw.named and settings.classes:
        class_numbers(raw, settings.classes, max(settings.classes) + 1)
    if not raw.named:
        _require_from_zero(raw)
    _require_enough(raw, settings)


def _require_labels(raw: RawTexts, settings: SampleSettings) -> None:
    if raw.labelled or (settings.labels == "waived" and settings.min_accuracy is None):
        return
    if settings.min_accuracy is not None:
        raise _wrong(raw, "have no labels, and the policy's min-accuracy needs them: add them, or remove that key")
    why = "have no labels, without which nothing shows that the model is given what it expects"
    raise _wrong(raw, f"{why}: add them under 'label', or state 'samples: {{labels: waived}}' in the policy")


def _require_from_zero(raw: RawTexts) -> None:
    """Refuse labels below 0, and labels from 1 on without a gap."""
    numbers = {row.label for row in raw.rows if isinstance(row.label, int)}
    least, greatest = min(numbers), max(numbers)
    if least < 0:
        first = next(row for row in raw.rows if row.label == least)
        mend = "write 0 in the place of -1" if numbers == {-1, 1} else "number the classes from 0"
        raise raw.error(first, f"its label is {least}; expected class numbers from 0: {mend}")
    if least == 1 and len(numbers) == greatest > 1:
        raise _wrong(raw, f"have labels from 1 to {greatest}: subtract one, for classes are numbered from 0")


def _require_enough(raw: RawTexts, settings: SampleSettings) -> None:
    """Refuse texts of one class alone, and a class with too few different texts."""
    different: dict[Label | None, set[str]] = {}
    for row in raw.rows:
        different.setdefault(row.label, set()).add(row.text)
    if len(different) == 1:
        mend = "expected two classes or more: add texts of the model's other classes"
        raise _wrong(raw, f"are all of class {shown(raw.rows[0].label)}; {mend}")
    label, texts = min(different.items(), key=lambda item: (len(item[1]), str(item[0])))
    if len(texts) >= settings.least_of_each_class:
        return
    fewer = f"fewer than {settings.least_of_each_class} different texts"
    mend = "state a smaller 'least-per-class' under 'samples' in the policy"
    if not raw.named:
        raise _wrong(raw, f"have {fewer} of class {shown(label)}: add some, or {mend}")
    first = next(row for row in raw.rows if row.label == label)
    others = ", ".join(shown(other) for other in list(different)[: MOST_NAMED + 1] if other != label)
    of = f"its label is {shown(label)}, of which there are {fewer}; other labels are {others}"
    raise raw.error(first, f"{of}: correct it, add texts of it, or {mend}")


def _wrong(raw: RawTexts, what: str) -> UnexaminableError:
    return UnexaminableError(f"the samples {raw.source} {what}")
