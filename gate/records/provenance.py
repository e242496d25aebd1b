"""`provenance.json` of a bundle: what it was made of, by what, and the number of attempts to repair a model.

A bundle's file names no candidate, only bytes: the same program gives the same file. A candidate's file of that name is
candidate-controlled. It can only make a judgement stricter: more attempts divide the p-value further.
"""

from operator import not_
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from gate.records.fields import Digest, is_none
from gate.records.record import MalformedError, Record, parse_json, read_bounded

PROVENANCE = "provenance.json"
MAX_BYTES = 64 << 10
MAX_ATTEMPTS = 1000


class RepairOrigin(Record):
    """How a model was repaired: what its judging scan needs to know of all attempts."""

    parent: str = Field(max_length=4200)
    """Reference of the model that was repaired; in a bundle, the digest of its bytes."""
    parent_digest: Digest
    method: str = Field(max_length=64)
    options: dict[str, Any] = Field(default_factory=dict, max_length=100)
    attempts: int = Field(ge=1, le=MAX_ATTEMPTS)
    """Number of planned attempts, made or not, by which the judging scan's p-value is divided."""
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**32)], ...] = Field(default=(), max_length=MAX_ATTEMPTS)
    detectors: tuple[Annotated[str, Field(max_length=64)], ...] = Field(default=(), max_length=200)
    """Detectors that the attempts were tuned on, and which say less about their outcome."""


class Provenance(Record):
    """Where a bundle comes from."""

    made_by: str = Field(max_length=200)
    origin: str = Field(default="", max_length=40, exclude_if=not_)
    """Form of the program before: `pt2`, `pickle`, `converted`, `composed` or `repaired`; empty in earlier files."""
    parent: str = Field(max_length=4200)
    """Digest of the candidate's program; in files of earlier gates, the candidate's reference."""
    parent_digest: Digest | None = Field(default=None, exclude_if=is_none)
    """Digest of the candidate's manifest, in files of earlier gates."""
    base: str = Field(default="", max_length=80, exclude_if=not_)
    """Digest of the base's weights that an adapter was examined with; empty of everything else."""
    torch: str = Field(default="", max_length=64, exclude_if=not_)
    opens_with: dict[str, Annotated[str, Field(max_length=64)]] = Field(
        default_factory=dict, max_length=20, exclude_if=not_
    )
    losses: tuple[Annotated[str, Field(max_length=2000)], ...] = Field(default=(), max_length=40, exclude_if=not_)
    """What the candidate offered its consumers and the bundle does not."""
    repair: RepairOrigin | None = Field(default=None, exclude_if=is_none)
    """None for a bundle that was not repaired."""


def read_repair(root: Path) -> tuple[RepairOrigin | None, str]:
    """Return the repair in a candidate's provenance, or the reason why it cannot be read, as a sentence."""
    path = root / PROVENANCE
    if not path.exists() and not path.is_symlink():
        return None, ""
    try:
        value = parse_json(read_bounded(path, limit=MAX_BYTES), what=PROVENANCE, limit=MAX_BYTES)
        if isinstance(value, dict) and "repair" not in value:
            return None, ""  # the file of a bundle that was not repaired, or of another tool
        return Provenance.from_file(path, limit=MAX_BYTES).repair, ""
    except (MalformedError, OSError) as error:
        return None, (
            f"The candidate's {PROVENANCE} cannot be read, so that it is not known by how many attempts it was "
            f"repaired: {str(error)[:500]}. Expected the file that `gate remediate` writes, or none."
        )
