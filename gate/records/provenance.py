"""`provenance.json` of a bundle: what it was made of, by what, and, of a repaired model, by how many attempts.

Near the ground. A bundle's own names no candidate, only bytes: the same program gives the same file. A candidate's file
of that name is the candidate side's claim like any other of its files. It can only make a judgement stricter: more
attempts divide the p-value further, and a candidate without it is simply another candidate.
"""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from gate.records.record import MalformedError, Record, parse_json, read_bounded

PROVENANCE = "provenance.json"
MAX_BYTES = 64 << 10
MAX_ATTEMPTS = 1000

_Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class RepairOrigin(Record):
    """How a repaired model came to be: what its judging scan needs to know of all attempts."""

    parent: str = Field(max_length=4200)
    """The reference of the model that was repaired; in a bundle the digest of its bytes once more."""
    parent_digest: _Digest
    method: str = Field(max_length=64)
    options: dict[str, Any] = Field(default_factory=dict, max_length=100)
    attempts: int = Field(ge=1, le=MAX_ATTEMPTS)
    """Planned, whether or not all were made: the p-value of the judging scan is divided by them."""
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**32)], ...] = Field(default=(), max_length=MAX_ATTEMPTS)
    detectors: tuple[Annotated[str, Field(max_length=64)], ...] = Field(default=(), max_length=200)
    """What the attempts were tuned on, and so what says less about their outcome."""


class Provenance(Record):
    """Where a bundle comes from."""

    made_by: str = Field(max_length=200)
    origin: str = Field(default="", max_length=40, exclude_if=lambda value: not value)
    """What the program was before: `pt2`, `pickle`, `converted` or `repaired`; empty in earlier files."""
    parent: str = Field(max_length=4200)
    """The digest of the candidate's program; earlier gates wrote the model reference of the candidate."""
    parent_digest: _Digest | None = Field(default=None, exclude_if=lambda value: value is None)
    """Of the candidate's manifest, in files of earlier gates."""
    torch: str = Field(default="", max_length=64, exclude_if=lambda value: not value)
    """The torch that wrote the program."""
    opens_with: dict[str, Annotated[str, Field(max_length=64)]] = Field(
        default_factory=dict, max_length=20, exclude_if=lambda value: not value
    )
    """The oldest release of each library that opens it."""
    losses: tuple[Annotated[str, Field(max_length=2000)], ...] = Field(
        default=(), max_length=40, exclude_if=lambda value: not value
    )
    """What the candidate offered its consumers and the bundle does not."""
    repair: RepairOrigin | None = Field(default=None, exclude_if=lambda value: value is None)
    """None for a bundle that was not repaired."""


def read_repair(root: Path) -> tuple[RepairOrigin | None, str]:
    """Return what a candidate's provenance says of a repair, or why it cannot be read, as a sentence."""
    path = root / PROVENANCE
    if not path.exists() and not path.is_symlink():
        return None, ""
    try:
        value = parse_json(read_bounded(path, limit=MAX_BYTES), what=PROVENANCE, limit=MAX_BYTES)
        if isinstance(value, dict) and "repair" not in value:
            return None, ""  # a bundle's that was not repaired, or some other tool's file of that name
        return Provenance.from_file(path, limit=MAX_BYTES).repair, ""
    except (MalformedError, OSError) as error:
        return None, (
            f"The candidate's {PROVENANCE} cannot be read, so that it is not known by how many attempts it was "
            f"repaired: {str(error)[:500]}. Expected the file that `gate remediate` writes, or none."
        )
