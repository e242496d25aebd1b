"""The bytes that a signed decision is about, as the commands that read one print them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gate.attestations.statement import Statement


def covered_lines(statement: "Statement", hashed: str = "") -> list[str]:
    """Return each digest that the decision covers, what has it, and whether those are the bytes that were hashed."""
    said = statement.predicate
    names = {said.model_digest: "candidate", said.bundle_digest: "bundle"}
    lines = [
        f"{names[digest]} {digest}{' (these bytes)' if digest == hashed else ''}"
        for digest in statement.covered_digests
    ]
    if not lines:
        lines.append("nothing: no bundle was written")
    if said.covers == "bundle":
        lines.append(f"not the candidate {said.model_digest}")
    if said.examined == "files":
        lines.append("the bytes alone: behaviour was not examined")
    return [f"{'' if number else 'covers':8} {line}" for number, line in enumerate(lines)]
