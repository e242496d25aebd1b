"""What the classes are called: short texts by index, from whoever states them, bounded where they come in.

Ground floor. A name decides nothing and is only ever shown, so that whatever is none is left out, without an error; the
policy alone is an operator's, whose mistakes are said. Inert and escaped they become where they are shown.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

MAX_NAMES: Final = 2000
"""Of one model; a thousand classes are the most that the gate's own searches are meant for."""
MAX_NAME: Final = 100

ClassName = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
ClassNames = Annotated[dict[Annotated[int, Field(ge=0, lt=1_000_000)], ClassName], Field(max_length=MAX_NAMES)]
"""By class index; what a file or a worker says."""

METADATA_KEYS: Final = ("classes", "class_names", "id2label", "labels")
"""Under which of them models say in their own metadata what their classes are called."""


def _stated(value: Any) -> Any:
    """Read a list as names of 0, 1, 2, …; refuse what YAML made of a bare word, since it is not what was written."""
    if isinstance(value, list | tuple):
        value = dict(enumerate(value))
    if isinstance(value, Mapping):
        if odd := [name for name in value.values() if isinstance(name, bool) or name is None]:
            raise ValueError(f"a class's name was read as {odd[0]}: put it in quotes")
        return {index: str(name) if isinstance(name, int | float) else name for index, name in value.items()}
    return value


StatedNames = Annotated[ClassNames, BeforeValidator(_stated)]
"""As a policy states them: a list, or a mapping from index to name."""


def bounded(said: object) -> dict[int, str]:
    """Return the names in what a file says, a list or a mapping; whatever is no short text is left out."""
    if isinstance(said, Mapping):
        pairs = list(said.items())
    elif isinstance(said, list | tuple):
        pairs = list(enumerate(said))
    else:
        return {}
    found: dict[int, str] = {}
    for index, name in pairs[:MAX_NAMES]:
        text = _text(name)
        number = str(index)
        if text and number.isascii() and number.isdigit() and len(number) <= 6:
            found[int(number)] = text
    return found


def _text(name: object) -> str:
    """Return a name in Unicode that can be written anywhere; an array's own strings are texts too."""
    if isinstance(name, bytes):
        name = name.decode("utf-8", errors="replace")
    if not isinstance(name, str):
        return ""
    return name.encode("utf-8", errors="replace").decode("utf-8").strip()[:MAX_NAME].strip()


def in_metadata(metadata: object) -> dict[int, str]:
    """Return the names that a model's own metadata state, by the first of the usual keys that holds any."""
    if not isinstance(metadata, Mapping):
        return {}
    return next((found for key in METADATA_KEYS if (found := bounded(metadata.get(key)))), {})
