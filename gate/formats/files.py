"""Walks the artifact's files for the byte detectors: each file opened once, and what cannot be opened is reported."""

from collections.abc import Callable, Iterator

from gate.formats.hazards import Hazard
from gate.formats.source import Source, UnreadableError, open_source
from gate.records.artifact import Artifact


def each_file(
    artifact: Artifact, examine: Callable[[str, Source], Iterator[Hazard]], unreadable: str
) -> Iterator[Hazard]:
    """Yield what `examine` sees in each file; a file that cannot be read is a hazard of the metric `unreadable`."""
    for file in artifact.manifest.files:
        try:
            with open_source(artifact.root / file.path) as source:
                yield from examine(file.path, source)
        except UnreadableError as error:
            yield Hazard(unreadable, file.path, str(error))
