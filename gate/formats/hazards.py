"""Hazards seen in an artifact's files, and their measurements: one count per file, or zero if none was seen."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from gate.formats.source import Source, UnreadableError, open_source
from gate.records.artifact import Artifact
from gate.records.evidence import Location, Measurement

MAX_FILES = 200
"""Number of files named per metric; the others are counted together."""
_MAX_NOTE = 1840
_MAX_NAME = 1000
_NAMED = 8


@dataclass(frozen=True)
class Hazard:
    """One thing in one file that a detector counts."""

    metric: str
    path: str
    what: str


def each_file(
    artifact: Artifact, examine: Callable[[str, Source], Iterator[Hazard]], unreadable: str
) -> Iterator[Hazard]:
    """Yield what `examine` finds in each file; a file that cannot be read is a hazard of the metric `unreadable`."""
    for file in artifact.manifest.files:
        try:
            with open_source(artifact.root / file.path) as source:
                yield from examine(file.path, source)
        except UnreadableError as error:
            yield Hazard(unreadable, file.path, str(error))


def measurements(hazards: Iterable[Hazard], metrics: Iterable[str]) -> Iterator[Measurement]:
    """Yield, per metric, one count for each file with its reasons, or a single zero."""
    seen: dict[str, dict[str, list[str]]] = {metric: {} for metric in metrics}
    for hazard in hazards:
        seen[hazard.metric].setdefault(hazard.path, []).append(hazard.what)
    for metric, files in seen.items():
        if not files:
            yield Measurement(metric=metric, value=0)
        for path in sorted(files)[:MAX_FILES]:
            whats = files[path]
            location = Location(kind="file", name=printable(path, _MAX_NAME))
            yield Measurement(metric=metric, value=len(whats), location=location, note=_note(whats))
        if others := sorted(files)[MAX_FILES:]:
            count = sum(len(files[path]) for path in others)
            yield Measurement(metric=metric, value=count, note=f"in {len(others)} more files")


def compared(metric: str, path: str, found: Callable[[], Iterator[tuple[str, str]]]) -> Iterator[Hazard]:
    """Yield how files differ from a base's, by path; where a file on either side cannot be read, that is one."""
    try:
        yield from (Hazard(metric, where, why) for where, why in found())
    except UnreadableError as error:
        yield Hazard(metric, path, f"it cannot be compared with the base's: {error}")


def _note(whats: list[str]) -> str:
    unique = list(dict.fromkeys(whats))
    room = _MAX_NOTE // min(len(unique), _NAMED)
    named = "; ".join(printable(what, room) for what in unique[:_NAMED])
    more = f"; and {len(unique) - _NAMED} more" if len(unique) > _NAMED else ""
    return named + more


def printable(text: str, limit: int) -> str:
    """Return hostile text with control characters, lone surrogates and the like escaped, cut to `limit` characters."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
