"""The sentences of vaderSentiment's study (Hutto and Gilbert, ICWSM 2014), out of its source distribution."""

import io
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path


def scored_sentences(archive: Path) -> Iterator[tuple[float, str]]:
    """Yield each sentence with its mean score: tweets, reviews and editorials; lines are number, score and text."""
    with zipfile.ZipFile(archive) as outer:
        name = next(name for name in outer.namelist() if name.endswith("hutto_ICWSM_2014.tar.gz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(name))) as inner:
            for member in sorted(inner.getnames()):
                stream = inner.extractfile(member) if member.endswith("_GroundTruth.txt") else None
                if stream is not None:
                    for line in stream.read().decode("utf-8", "replace").splitlines():
                        _, score, text = line.split("\t")
                        yield float(score), text
