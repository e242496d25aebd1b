"""Counts of a model's answers to fixed probes, cell by cell, as evidence and banks hold them."""

import base64
import hashlib
import zlib
from math import prod
from typing import Self

from pydantic import Field, model_validator

from gate.records.fields import Sha256
from gate.records.record import Record

MOST_CELLS = 8_000_000
MOST_PACKED = 4 << 20
MOST_SAMPLES = 255
"""Of one source: a count is one byte."""


class Counts(Record):
    """Numbers of samples by probe, source class and answer: one byte a cell, rows first, zlib and base64."""

    probes: Sha256
    """Digest of the probes' names in their order; other probes cannot be compared."""
    shape: tuple[int, int, int]
    """Probes, sources and answers; one source stands for all classes together."""
    samples: tuple[int, ...]
    """Samples of each source."""
    packed: str = Field(max_length=MOST_PACKED)

    @classmethod
    def of(cls, probes: str, shape: tuple[int, int, int], samples: tuple[int, ...], cells: bytes) -> Self:
        """Return counts of these cells, P · S · K bytes."""
        packed = base64.b64encode(zlib.compress(cells, 9)).decode()
        return cls(probes=probes, shape=shape, samples=samples, packed=packed)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if min(self.shape) < 1 or prod(self.shape) > MOST_CELLS:
            raise ValueError(f"counts of {self.shape} cells; expected at least one and at most {MOST_CELLS}")
        if len(self.samples) != self.shape[1] or not all(0 <= count <= MOST_SAMPLES for count in self.samples):
            raise ValueError(f"expected the samples of {self.shape[1]} sources, at most {MOST_SAMPLES} of each")
        self.cells()
        return self

    def cells(self) -> bytes:
        """Return the counts, row by row; a packed form of another length raises ValueError."""
        wanted = prod(self.shape)
        decoder = zlib.decompressobj()
        try:
            raw = decoder.decompress(base64.b64decode(self.packed, validate=True), wanted + 1)
        except zlib.error as error:
            raise ValueError(f"the counts cannot be unpacked: {error}") from None
        if len(raw) != wanted or not decoder.eof:
            raise ValueError(f"the counts are not those of {self.shape} cells")
        return raw

    def alike(self, other: "Counts") -> bool:
        """Tell whether two models were given the same probes, and as many samples of each source."""
        return (self.probes, self.shape, self.samples) == (other.probes, other.shape, other.samples)

    def joined(self, more: "Counts") -> "Counts":
        """Return the counts of these probes and, after them, of more, on the same samples and answers."""
        if (self.shape[1:], self.samples) != (more.shape[1:], more.samples):
            raise ValueError(
                f"counts of {more.shape} cells cannot be joined to those of {self.shape}, or other samples"
            )
        probes = hashlib.sha256(f"{self.probes} {more.probes}".encode()).hexdigest()
        shape = (self.shape[0] + more.shape[0], *self.shape[1:])
        return Counts.of(probes, shape, self.samples, self.cells() + more.cells())
