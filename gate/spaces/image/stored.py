"""Samples as arrays once they are read, and the limit on how much is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from gate.records.errors import UnexaminableError
from gate.spaces.image.foreign_samples import Stored

MAX_BYTES = 4 << 30
"""Most bytes of all arrays, or of all pixels, together."""
_ADVICE = "State layout, bounds, mean and std under 'samples' in the policy, or pass other samples with --samples."
Array = NDArray[Any]


@dataclass(frozen=True)
class RawSamples:
    """Arrays as they were stored."""

    inputs: Array
    labels: Array | None
    source: str
    class_names: dict[int, str] = field(default_factory=dict)
    """The classes' names in the file or its folders; for reports alone."""
    others: Mapping[str, Stored] = field(default_factory=dict)
    """Arrays of a file without labels, of which one may be the labels under another name."""


@dataclass
class Room:
    """The bytes that all arrays or pixels together may still take."""

    source: str
    left: int = field(default_factory=lambda: MAX_BYTES)

    def take(self, size: int) -> None:
        """Count so many bytes, before they are unpacked."""
        self.left -= size
        if self.left < 0:
            raise refused(f"the samples {self.source} unpack to more than {MAX_BYTES >> 30} GiB in all")


def refused(message: str) -> UnexaminableError:
    """Return the error of samples that cannot be used as they are, with the usual advice."""
    return UnexaminableError(message, what_to_do=_ADVICE)
