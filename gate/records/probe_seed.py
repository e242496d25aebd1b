"""The seed of the secret probes: a key of the gate's operator, and all that may be told of it.

A published grid of probes can be trained against. Probes drawn from this seed cannot, as long as no candidate's code,
no report and no bank shows the seed or what was drawn from it.
"""

import hashlib
import hmac
import re
from pathlib import Path

from gate.records.errors import UsageError
from gate.records.record import MalformedError, read_bounded

FORM = r"^[0-9a-f]{64}$"
"""A seed: 32 bytes in hexadecimal digits, too many to guess from what is told of it."""
_MAX_BYTES = 4096
_ADVICE = "`openssl rand -hex 32` prints a new one. What a bank was made with, its candidates need too."


def is_seed(text: str) -> bool:
    """Tell whether a text is a seed itself, and no path."""
    return re.fullmatch(FORM, text.strip()) is not None


def read_probe_seed(where: str) -> str:
    """Read a seed: its digits, as in an environment variable, or the path of a file of them; else a `UsageError`.

    No message repeats what was given, which may be most of a seed.
    """
    if is_seed(where):
        return where.strip()
    try:
        raw = read_bounded(Path(where), limit=_MAX_BYTES)
    except (MalformedError, OSError, ValueError):
        raise UsageError(
            "the probe seed is neither 64 hexadecimal digits (0-9, a-f) nor a file that can be read",
            what_to_do=_ADVICE,
        ) from None
    text = raw.decode("ascii", errors="replace").strip()
    if not is_seed(text):
        raise UsageError("the file of the probe seed holds no 64 hexadecimal digits (0-9, a-f)", what_to_do=_ADVICE)
    return text


def derived(seed: str, purpose: str) -> bytes:
    """Return 32 bytes of a seed for one purpose, from which neither seed nor another purpose's bytes follow (HMAC)."""
    return hmac.new(bytes.fromhex(seed), purpose.encode(), hashlib.sha256).digest()


def key_of(seed: str) -> str:
    """Return the digest by which two may tell that they had the same seed."""
    return derived(seed, "gate: secret probes").hex()
