"""Values of a command's options: settings of registry and scan, samples, keys, the review log."""

import os
import re
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gate.cli.terminal import tell
from gate.records.errors import UsageError

if TYPE_CHECKING:
    from gate.attestations.keys import PublicKey, SigningKey
    from gate.attestations.log import ReviewLog
    from gate.attestations.model_signature import ModelKey
    from gate.check.base_model import AskedBase
    from gate.check.evidence import ScanSettings
    from gate.check.previous import Against
    from gate.check.signing import Signing
    from gate.records.policy import DownloadBounds
    from gate.registries import RegistrySettings

PASSPHRASE = "GATE_SIGNING_KEY_PASSPHRASE"  # noqa: S105  # the name of a variable


def registry_settings(options: dict[str, Any]) -> "RegistrySettings":
    """Take the registry's options out of a command's."""
    from gate.registries import RegistrySettings

    given = {field.name: options.pop(field.name) for field in fields(RegistrySettings)}
    empty = {name: None for name in ("tracking_uri", "registry_uri") if not given[name]}
    return RegistrySettings(**given | empty)


def scan_settings(options: dict[str, Any]) -> "ScanSettings":
    """Take the scan's options out of a command's."""
    from gate.check.evidence import ScanSettings
    from gate.records.probe_seed import read_probe_seed

    given = {field.name: options.pop(field.name) for field in fields(ScanSettings)}
    where = given.pop("probe_seed")
    return ScanSettings(**given, probe_seed=read_probe_seed(where) if where else None)


def require_samples(samples: str | None) -> None:
    """Refuse a path of samples that does not exist or cannot be read, before anything is pulled."""
    if samples is None or ":/" in samples:
        return
    if not Path(samples).exists():
        raise UsageError(
            f"there are no samples at {samples}",
            what_to_do="Name an .npz file or a folder of images, or texts as .jsonl or .csv.",
        )
    if not os.access(samples, os.R_OK | (os.X_OK if Path(samples).is_dir() else 0)):
        raise UsageError(f"the samples {samples} cannot be read", what_to_do="Give this user the right to read them.")


def base_of(uri: str, options: dict[str, Any], settings: "RegistrySettings") -> "AskedBase | None":
    """Take the base of adapters or language models out of a command's options; None where none is named."""
    from gate.check.base_model import AskedBase
    from gate.registries import open_registry, require_known
    from gate.registries.uris import is_registry_uri

    base = options.pop("base")
    if not base:
        return None
    require_known(base, settings)
    same = is_registry_uri(base) and is_registry_uri(uri)
    return AskedBase(base, None if same else open_registry(base, settings))


def against_of(uri: str, options: dict[str, Any], settings: "RegistrySettings", signs: "Signing | None") -> "Against":
    """Take what a candidate is compared with out of a command's options; a URI that names no model is refused.

    The key that signs is trusted too.
    """
    from gate.check.previous import Against
    from gate.records.previous import NONE, SERVES
    from gate.registries import open_registry, require_known
    from gate.registries.uris import is_registry_uri

    places = options.pop("public_key")
    own, log = (signs.key, signs.log) if signs else (None, None)
    keys = public_keys(places, own) if places or own else ()
    against, production = options.pop("against"), os.environ.get("GATE_PROMOTE_TO")
    if against is None and production and is_registry_uri(uri):
        against = f"models:/{production}@{os.environ.get('GATE_ALIAS') or SERVES}"
    if against is None or against == NONE:
        return Against(against, keys=keys, log=log)
    require_known(against, settings)
    same = is_registry_uri(against) and is_registry_uri(uri)
    return Against(against, None if same else open_registry(against, settings), keys, log)


def days_of(text: str, digits: int = 4) -> int:
    """Return a number of days, such as `30d` or `30`."""
    match = re.fullmatch(rf"([0-9]{{1,{digits}}})d?", text.strip())
    if match is None:
        raise UsageError(f"{text[:40]!r} is no time; expected days, such as 30d")
    return int(match[1])


def signing_key(options: dict[str, Any]) -> "SigningKey | None":
    """Take the signing key out of a command's options."""
    from gate.attestations.keys import read_signing_key

    where = options.pop("signing_key")
    return read_signing_key(where, os.environ.get(PASSPHRASE)) if where else None


def signing(options: dict[str, Any]) -> "Signing | None":
    """Take key and log out of a command's options; None leaves the verdict unsigned."""
    from gate.check.signing import Signing

    key, log = signing_key(options), review_log(options.pop("audit_log"))
    model_key = model_signing_key(options)
    if log is not None:
        log.require_writable()
    return Signing(key, log, model_key) if key is not None else None


def model_signing_key(options: dict[str, Any]) -> "ModelKey | None":
    """Take the key that signs a bundle's files out of a command's options, where the command has one."""
    from gate.attestations.model_signature import read_model_key

    where = options.pop("model_signing_key", None)
    return read_model_key(where, os.environ.get(PASSPHRASE)) if where else None


def tell_signed(signs: "Signing | None") -> None:
    """Print under which key the verdict was signed, or plainly that it was not."""
    if signs is None:
        tell("the verdict is unsigned: it cannot be promoted (--signing-key)")
    else:
        tell(f"the verdict is signed by key {signs.key.key_id}")


def review_log(path: Path | None, head: str | None = None) -> "ReviewLog | None":
    """Return the review log at a path; a known hash without one is a `UsageError`."""
    from gate.attestations.log import ReviewLog

    if path is None and head is not None:
        raise UsageError(
            "--head is a hash of the review log, and none is named", what_to_do="Name it with --audit-log."
        )
    return ReviewLog(path) if path is not None else None


def public_keys(places: tuple[str, ...], own: "SigningKey | None" = None) -> "tuple[PublicKey, ...]":
    """Return the trusted keys: those that are named, or else the command's own signing key."""
    from gate.attestations.keys import read_public_keys

    return (own.public,) if own is not None and not places else read_public_keys(places)


def trusted_by(
    policy: Path, digest: str | None, *, any_policy: bool
) -> "tuple[str | None, tuple[str, ...], DownloadBounds]":
    """Return the digest that a decision's policy must have (None: any), its artifact stores and its download's bounds.

    A file that cannot be read, and whose digest is not needed, has no stores, so that only the tracking server is
    asked, and the bounds of a policy that states none.
    """
    from gate.policies.read import read_policy
    from gate.records.clock import today
    from gate.records.errors import PolicyError
    from gate.records.policy import DownloadBounds

    if digest is not None and not any_policy and not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise UsageError(f"{digest[:80]!r} is no digest of a policy; expected sha256: and 64 hexadecimal digits")
    try:
        rules = read_policy(policy, on=today())
    except PolicyError:
        if digest is None and not any_policy:
            raise
        return (None if any_policy else digest), (), DownloadBounds()
    return (None if any_policy else digest or rules.digest), rules.artifact_stores, rules.download
