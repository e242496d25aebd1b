"""Texts and labels out of lines of JSON and out of CSV; what a line lacks is told with its number."""

import csv
import io
import json
import re
from collections.abc import Iterator
from typing import Any, Final

from gate.spaces.text.stored import MAX_CHARACTERS, MAX_TEXTS, Label, Row, at_line, refused, shown

TEXT: Final = "text"
LABEL: Final = "label"
_TEXTS = ("sentence", "content", "body", "review", "comment", "comment_text", "message", "tweet", "document", "input")
_LABELS = ("labels", "target", "class", "category", "y", "sentiment", "label_id", "toxic", "output")
"""Names that other data sets have for the two columns."""
_SEPARATORS = {"\t": "tabs", ";": "semicolons", "|": "bars"}
_MOST_DIGITS = 18
_NUMBER: Final = re.compile(r"-?[0-9]+")


def of_json(content: str, source: str) -> Iterator[Row]:
    """Yield the texts of lines of JSON, each an object; empty lines are passed over."""
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        found = _parsed(line, source, number)
        if TEXT not in found:
            raise at_line(source, number, f"there is no {TEXT!r} among its keys{_renamed(list(found))}")
        yield _row(found[TEXT], _label(found.get(LABEL), source, number), source, number)


def _parsed(line: str, source: str, number: int) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except RecursionError:
        raise at_line(source, number, "it is nested too deeply; expected an object of text and label") from None
    except ValueError as error:
        why = error.msg if isinstance(error, json.JSONDecodeError) else "a number has too many digits"
        one = "; a line holds one whole object, so that a text has its line breaks as \\n" if number == 1 else ""
        raise at_line(source, number, f"it is no JSON ({why[:100]}){one}") from None
    if isinstance(found, list):
        raise at_line(source, number, "it is a list; expected an object on each line: write each of its entries on one")
    if not isinstance(found, dict):
        raise at_line(source, number, f"it is {shown(found)}; expected an object with {TEXT!r} and {LABEL!r}")
    return found


def of_csv(content: str, source: str) -> Iterator[Row]:
    """Yield the texts of a CSV file whose first line names its columns."""
    csv.field_size_limit(4 * MAX_CHARACTERS)
    reader = csv.reader(io.StringIO(content, newline=""), strict=True)
    columns: list[str] | None = None
    begins = 1
    try:
        for fields in reader:
            if columns is None:
                columns = [name.strip() for name in fields]
                _require_columns(columns, source)
            elif fields:
                yield _of_fields(fields, columns, source, begins)
            begins = reader.line_num + 1
    except csv.Error as error:
        raise at_line(source, max(1, reader.line_num), f"it is no CSV ({str(error)[:100]})") from None


def _require_columns(columns: list[str], source: str) -> None:
    if TEXT in columns and len(set(columns)) == len(columns):
        return
    if TEXT in columns:
        raise at_line(source, 1, "two columns have one name")
    between = next((said for sign, said in _SEPARATORS.items() if any(sign in name for name in columns)), "")
    if between:
        raise at_line(source, 1, f"its columns are separated by {between}; expected commas")
    raise at_line(source, 1, f"no column is named {TEXT!r}{_renamed(columns)}; the first line names the columns")


def _renamed(columns: list[str]) -> str:
    """Return which names to change, where some look like those of texts or labels."""
    lower = {name.lower(): name for name in columns}
    found = [
        f"{shown(lower[known])} to {wanted!r}"
        for wanted, other in ((TEXT, (TEXT, *_TEXTS)), (LABEL, (LABEL, *_LABELS)))
        if wanted not in columns and (known := next((one for one in other if one in lower), None)) is not None
    ]
    named = ", ".join(map(shown, columns[:8]))
    return f": rename {' and '.join(found)}" if found else f" ({named})"


def _of_fields(fields: list[str], columns: list[str], source: str, line: int) -> Row:
    if len(fields) != len(columns):
        mend = "put a text that holds commas or quotes into quotes"
        raise at_line(source, line, f"it has {len(fields)} fields, and there are {len(columns)} columns: {mend}")
    found = dict(zip(columns, fields, strict=True))
    said = found.get(LABEL, "").strip()
    number = len(said) <= _MOST_DIGITS and _NUMBER.fullmatch(said)
    return _row(found[TEXT], (int(said) if number else said) if said else None, source, line)


def _label(value: object, source: str, line: int) -> Label | None:
    """Return a label as a number or a name; a list of them and fractions are refused."""
    match value:
        case None:
            return None
        case bool():
            return int(value)
        case int() if len(str(value)) <= _MOST_DIGITS:
            return value
        case float() if value.is_integer() and abs(value) < 10**_MOST_DIGITS:
            return int(value)
        case str() if value.strip():
            return value.strip()
        case list():
            several = "a text with several labels at once has no one class; multi-label classifiers are not examined"
            raise at_line(source, line, f"its label is a list: {several}, log one whose scores compete (softmax)")
        case _:
            raise at_line(source, line, f"its label is {shown(value)}; expected a class number from 0, or a name")


def _row(text: object, label: Label | None, source: str, line: int) -> Row:
    if not isinstance(text, str):
        raise at_line(source, line, f"its text is {shown(text)}; expected a string")
    if not text.strip():
        raise at_line(source, line, "its text is empty: leave it out, nothing can be inserted into it")
    if len(text) > MAX_CHARACTERS:
        raise at_line(source, line, f"its text has {len(text)} characters; at most {MAX_CHARACTERS} are read")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise at_line(source, line, "its text holds half a character (a surrogate without its pair)") from None
    return Row(line, text, label)


def collected(rows: Iterator[Row], source: str) -> tuple[Row, ...]:
    """Return the rows, within the limits, where either all or none have a label and all labels are of one kind."""
    found: list[Row] = []
    for row in rows:
        if len(found) == MAX_TEXTS:
            raise refused(source, f"hold more than {MAX_TEXTS} texts")
        if found and (row.label is None) != (found[0].label is None):
            without, other = (row, found[0]) if row.label is None else (found[0], row)
            raise at_line(source, without.line, f"it has no label, and that on line {other.line} has one")
        if found and type(row.label) is not type(found[0].label):
            kinds = f"its label is {shown(row.label)}, and that on line {found[0].line} is {shown(found[0].label)}"
            raise at_line(source, row.line, f"{kinds}: write all as numbers, or all as names")
        found.append(row)
    if not found:
        raise refused(source, "hold no text")
    return tuple(found)
