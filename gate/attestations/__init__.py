"""Signed decisions: what was decided about which bytes, by which rules, until when, and under whose key.

Pure but for reading keys and appending to the log. `sign` and `verify` are the seam; nothing else may turn a tag into
trust. The format is an in-toto statement in a DSSE envelope, so that other tools can read it.
"""

from gate.attestations.envelope import Expected, Verified, sign, verify
from gate.attestations.keys import PublicKey, SigningKey, generate_key, read_public_keys, read_signing_key
from gate.attestations.statement import Statement, Voice, reviewed, scan_statement

__all__ = [
    "Expected",
    "PublicKey",
    "SigningKey",
    "Statement",
    "Verified",
    "Voice",
    "generate_key",
    "read_public_keys",
    "read_signing_key",
    "reviewed",
    "scan_statement",
    "sign",
    "verify",
]
