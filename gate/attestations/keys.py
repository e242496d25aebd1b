"""Ed25519 keys: one to sign with, several to trust, from files or the environment. No message quotes key material.

For rotation a verifier trusts several keys: the new one is added before the old one signs its last decision, and the
old one is removed when that decision has expired.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from securesystemslib.signer import CryptoSigner, SSlibKey

from gate.records.errors import UsageError

_MAX_BYTES = 1 << 16
_BEGIN, _END = "-----BEGIN", "-----END PUBLIC KEY-----"
_NO_KEYS = "`gate keys generate` makes a pair."


@dataclass(frozen=True)
class PublicKey:
    """A key that is trusted."""

    key: SSlibKey = field(repr=False)
    source: str
    """File or environment from which it was read; never its text."""

    @property
    def key_id(self) -> str:
        """The id that signatures carry."""
        return self.key.keyid


@dataclass(frozen=True)
class SigningKey:
    """A private key's signer, and its public key."""

    signer: CryptoSigner = field(repr=False)
    public: PublicKey

    @property
    def key_id(self) -> str:
        """The id that its signatures carry."""
        return self.public.key_id


def read_signing_key(where: str, passphrase: str | None = None) -> SigningKey:
    """Read an Ed25519 private key: PEM text itself, as in an environment variable, or the path of a PEM file."""
    raw, source = key_text(where, "signing key")
    try:
        key = serialization.load_pem_private_key(raw, passphrase.encode() if passphrase else None)
    except TypeError:
        fault = "is encrypted, and no passphrase was given" if not passphrase else "is not encrypted"
        remedy = "GATE_SIGNING_KEY_PASSPHRASE holds the passphrase."
        raise UsageError(f"the signing key in {source} {fault}", what_to_do=remedy) from None
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(
            f"the signing key in {source} cannot be read; expected an Ed25519 private key in PEM, and its passphrase "
            "where it is encrypted",
            what_to_do=_NO_KEYS,
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"the signing key in {source} is no Ed25519 key", what_to_do=_NO_KEYS)
    public = SSlibKey.from_crypto(key.public_key())
    return SigningKey(CryptoSigner(key, public), PublicKey(public, source))


def read_public_keys(places: Iterable[str]) -> tuple[PublicKey, ...]:
    """Read every Ed25519 public key in PEM texts or files; a `UsageError` where there is none."""
    found: dict[str, PublicKey] = {}
    for place in places:
        raw, source = key_text(place, "public key")
        blocks = raw.decode("ascii", errors="replace").split(_END)[:-1]
        if not blocks:
            raise UsageError(
                f"there is no public key in {source}; expected PEM with '{_BEGIN} PUBLIC KEY-----'", what_to_do=_NO_KEYS
            )
        for block in blocks:
            key = _public((block + _END).strip().encode(), source)
            found.setdefault(key.key_id, key)
    if not found:
        raise UsageError(
            "no public key was given, so that no decision can be checked",
            what_to_do="Name trusted keys with --public-key or GATE_PUBLIC_KEY.",
        )
    return tuple(found.values())


def _public(raw: bytes, source: str) -> PublicKey:
    try:
        key = serialization.load_pem_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(f"a public key in {source} cannot be read; expected Ed25519 in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(f"a public key in {source} is no Ed25519 key; expected Ed25519 alone")
    return PublicKey(SSlibKey.from_crypto(key), source)


def key_text(where: str, what: str) -> tuple[bytes, str]:
    """Return a key's PEM bytes and their source in words; a PEM text is never repeated in a message."""
    if where.lstrip().startswith(_BEGIN):
        return where.strip().encode() + b"\n", "the environment or command line"
    path = Path(where)
    try:
        with path.open("rb") as stream:
            raw = stream.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no path"
        raise UsageError(f"the {what} {str(path)[:300]!r} cannot be read: {reason}", what_to_do=_NO_KEYS) from None
    if len(raw) > _MAX_BYTES:
        raise UsageError(f"the {what} {path} is larger than {_MAX_BYTES} bytes; expected PEM of a few hundred")
    return raw, str(path)


def generate_key(private: Path, public: Path, passphrase: str | None = None) -> SigningKey:
    """Make a pair; the private file is readable by its owner alone, and no file is ever overwritten."""
    write_key_pair(Ed25519PrivateKey.generate(), private, public, passphrase)
    return read_signing_key(str(private), passphrase)


def write_key_pair(
    key: Ed25519PrivateKey | EllipticCurvePrivateKey, private: Path, public: Path, passphrase: str | None
) -> None:
    """Write a pair in PEM to files that do not exist yet, the private one readable by its owner alone."""
    for path in (private, public):
        if path.exists() or path.is_symlink():
            raise UsageError(f"{path} exists; a key is never overwritten", what_to_do="Name another file with --to.")
    protection: serialization.KeySerializationEncryption = (
        serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    )
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)
    shown = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    _write_new(private, secret, 0o600)
    _write_new(public, shown, 0o644)


def _write_new(path: Path, raw: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", what_to_do="Name another with --to.") from None
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(raw)
