"""Counts of a model's answers to secret probes, sealed by the seed that drew the probes.

They would give the probes away: whoever has the model and the samples can try patches until the counts are the same.
"""

import base64
from typing import TYPE_CHECKING, Self

from pydantic import Field

from gate.records.counts import MOST_PACKED, Counts
from gate.records.fields import Sha256
from gate.records.probe_seed import derived, key_of
from gate.records.record import MalformedError, Record

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

_USE = "gate: seal of counts"
MOST_SEALED = 2 * MOST_PACKED


class SecretCounts(Record):
    """`Counts` as AES-SIV (RFC 5297) leaves them, in base64: alike for alike counts, and opened by their seed alone."""

    key: Sha256
    """HMAC-SHA-256 of a fixed text by the seed: only counts of one key can be compared."""
    sealed: str = Field(max_length=MOST_SEALED)

    @classmethod
    def of(cls, counts: Counts, seed: str) -> Self:
        """Seal counts."""
        sealed = _cipher(seed).encrypt(counts.canonical_json(), None)
        return cls(key=key_of(seed), sealed=base64.b64encode(sealed).decode())

    def opened(self, seed: str) -> Counts | None:
        """Return the counts; None by another seed, or where they are not as they were sealed."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415  # slow to import, and seldom needed

        if self.key != key_of(seed):
            return None
        try:
            return Counts.from_json(_cipher(seed).decrypt(base64.b64decode(self.sealed, validate=True), None))
        except (InvalidTag, MalformedError, ValueError):
            return None


def _cipher(seed: str) -> "AESSIV":
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV  # noqa: PLC0415  # likewise

    return AESSIV(derived(seed, _USE))
