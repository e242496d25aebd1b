"""Labels as class numbers: as they are, or by the names of the classes."""

from collections.abc import Mapping
from typing import Final

from gate.spaces.text.stored import RawTexts, shown

MOST_NAMED: Final = 8


def class_numbers(raw: RawTexts, names: Mapping[int, str], classes: int) -> tuple[int, ...] | None:
    """Return the labels (N,) as class numbers below `classes`; None where there are none.

    `names` are the classes' names, as the policy or else the model states them. A label that is none of the classes
    is told with its line.
    """
    if not raw.labelled:
        return None
    numbers = _by_name(raw, names) if raw.named else [row.label for row in raw.rows]
    for row, number in zip(raw.rows, numbers, strict=True):
        if not isinstance(number, int) or not 0 <= number < classes:
            raise raw.error(row, f"its label is {shown(number)}; the model's classes are 0 to {classes - 1}")
    return tuple(number for number in numbers if isinstance(number, int))


def _by_name(raw: RawTexts, names: Mapping[int, str]) -> list[int]:
    numbers = {name: index for index, name in names.items()}
    first = raw.rows[0]
    if not numbers:
        mend = "number them from 0 in the order of its scores, or state 'samples: {classes: […]}' in the policy"
        raise raw.error(first, f"its label is {shown(first.label)}, and the model states no names of classes: {mend}")
    if len(numbers) < len(names):
        raise raw.error(first, f"its label is {shown(first.label)}, and two of the model's classes have one name")
    unknown = next((row for row in raw.rows if row.label not in numbers), None)
    if unknown is not None:
        known = ", ".join(shown(name) for name in list(numbers)[:MOST_NAMED])
        raise raw.error(unknown, f"its label is {shown(unknown.label)}; the model's classes are {known}")
    return [numbers[str(row.label)] for row in raw.rows]
