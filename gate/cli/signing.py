"""Keys and the review log of a command: options and environment in, what signs and what is trusted out."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gate.records.errors import UsageError

if TYPE_CHECKING:
    from gate.attestations.keys import PublicKey, SigningKey
    from gate.attestations.log import ReviewLog
    from gate.check.publish import Signing

PASSPHRASE = "GATE_SIGNING_KEY_PASSPHRASE"  # noqa: S105  # the name of a variable


def signing_key(options: dict[str, Any]) -> "SigningKey | None":
    """Take the signing key out of a command's options."""
    from gate.attestations.keys import read_signing_key

    where = options.pop("signing_key")
    return read_signing_key(where, os.environ.get(PASSPHRASE)) if where else None


def signing(options: dict[str, Any]) -> "Signing | None":
    """Take key and log out of a command's options; None means that the verdict stays unsigned."""
    from gate.check.publish import Signing

    key, log = signing_key(options), review_log(options.pop("audit_log"))
    if log is not None:
        log.require_writable()
    return Signing(key, log) if key is not None else None


def review_log(path: Path | None) -> "ReviewLog | None":
    """Return the review log at a path, if one is named."""
    from gate.attestations.log import ReviewLog

    return ReviewLog(path) if path is not None else None


def public_keys(places: tuple[str, ...], own: "SigningKey | None" = None) -> "tuple[PublicKey, ...]":
    """Return the trusted keys; who signs trusts the own key where no other is named."""
    from gate.attestations.keys import read_public_keys

    return (own.public,) if own is not None and not places else read_public_keys(places)


def trusted_by(policy: Path, digest: str | None, *, any_policy: bool) -> "tuple[str | None, tuple[str, ...]]":
    """Return the digest that a decision's policy must have, None where any is accepted, and the policy's stores.

    Of a file that cannot be read, and is not needed for its digest, there are none: the tracking server alone is asked.
    """
    from gate.policies.read import read_policy
    from gate.records.clock import today
    from gate.records.errors import PolicyError

    if digest is not None and not any_policy and not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise UsageError(f"{digest[:80]!r} is no digest of a policy; expected sha256: and 64 hexadecimal digits")
    try:
        rules = read_policy(policy, on=today())
    except PolicyError:
        if digest is None and not any_policy:
            raise
        return (None if any_policy else digest), ()
    return (None if any_policy else digest or rules.digest), rules.artifact_stores
