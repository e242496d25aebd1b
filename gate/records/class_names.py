"""Names of the classes: short texts by index, bounded where they are read.

A name decides nothing and is only shown: what is no name is left out without an error, except in a policy, where it is
the operator's mistake. Renderers escape the names.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

MAX_NAMES: Final = 2000
"""Names of one model; the gate's own searches are meant for at most a thousand classes."""
MAX_NAME: Final = 100

ClassName = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
ClassNames = Annotated[dict[Annotated[int, Field(ge=0, lt=1_000_000)], ClassName], Field(max_length=MAX_NAMES)]
"""Names by class index, as a file or a worker states them."""


def _stated(value: Any) -> Any:
    """Read a list as names of 0, 1, 2, …; refuse what YAML turned from a bare word into another type."""
    if isinstance(value, list | tuple):
        value = dict(enumerate(value))
    if isinstance(value, Mapping):
        if odd := [name for name in value.values() if isinstance(name, bool) or name is None]:
            raise ValueError(f"a class's name was read as {odd[0]}: put it in quotes")
        return {index: str(name) if isinstance(name, int | float) else name for index, name in value.items()}
    return value


StatedNames = Annotated[ClassNames, BeforeValidator(_stated)]
"""Names as a policy states them: a list, or a mapping from index to name."""


def bounded(said: object) -> dict[int, str]:
    """Return the names in a file's list or mapping, without what is no short text."""
    if isinstance(said, Mapping):
        pairs = list(said.items())
    elif isinstance(said, list | tuple):
        pairs = list(enumerate(said))
    else:
        return {}
    found: dict[int, str] = {}
    for index, name in pairs[:MAX_NAMES]:
        text, number = _text(name), str(index)
        if text and number.isascii() and number.isdigit() and len(number) <= 6:
            found[int(number)] = text
    return found


def _text(name: object) -> str:
    """Return a name as encodable Unicode; bytes of a NumPy array count as text."""
    if isinstance(name, bytes):
        name = name.decode("utf-8", errors="replace")
    if not isinstance(name, str):
        return ""
    return name.encode("utf-8", errors="replace").decode("utf-8").strip()[:MAX_NAME].strip()


def in_metadata(metadata: object) -> dict[int, str]:
    """Return the names in a model's own metadata, from the first of the usual keys that holds any."""
    if not isinstance(metadata, Mapping):
        return {}
    keys = ("classes", "class_names", "id2label", "labels")
    return next((found for key in keys if (found := bounded(metadata.get(key)))), {})
