"""An OpenSSF Model Signature over a folder's files, as `model_signing verify key` reads it.

A Sigstore bundle (v0.3) around a DSSE envelope: an in-toto statement with the digest of every file, signed by an
elliptic curve key, since that format has no Ed25519. It says which files they are, and nothing about their behaviour:
the gate signs bundles that an approval covers, and no others.
"""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gate.attestations.envelope import PAYLOAD_TYPE
from gate.attestations.keys import key_text, write_key_pair
from gate.records.artifact import Manifest
from gate.records.errors import UsageError
from gate.records.record import canonical_json

PREDICATE: Final = "https://model_signing/signature/v1.0"
MEDIA_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
_WHAT: Final = "model signing key"
_NO_KEYS: Final = "`gate keys generate --for-models` makes a pair."


@dataclass(frozen=True)
class ModelKey:
    """A private key on the curve P-256 that signs files."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def hint(self) -> str:
        """The id that a verifier compares: the sha256 of the public key's PEM."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return hashlib.sha256(self.key.public_key().public_bytes(serialization.Encoding.PEM, form)).hexdigest()


def read_model_key(where: str, passphrase: str | None = None) -> ModelKey:
    """Read a P-256 private key: PEM text itself, as in an environment variable, or the path of a PEM file."""
    raw, source = key_text(where, _WHAT)
    try:
        key = serialization.load_pem_private_key(raw, passphrase.encode() if passphrase else None)
    except (TypeError, ValueError, UnsupportedAlgorithm):
        raise UsageError(
            f"the {_WHAT} in {source} cannot be read; expected a P-256 private key in PEM, and its passphrase where it "
            "is encrypted",
            what_to_do=_NO_KEYS,
        ) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise UsageError(f"the {_WHAT} in {source} is no P-256 key", what_to_do=_NO_KEYS)
    return ModelKey(key)


def generate_model_key(private: Path, public: Path, passphrase: str | None = None) -> ModelKey:
    """Make a pair as `generate_key` does, on P-256."""
    write_key_pair(ec.generate_private_key(ec.SECP256R1()), private, public, passphrase)
    return read_model_key(str(private), passphrase)


def model_signature(manifest: Manifest, name: str, key: ModelKey) -> str:
    """Return the bundle for a folder's files as one line of JSON; `name` is the folder's, and display alone."""
    payload = canonical_json(_statement(manifest, name))
    signature = key.key.sign(_pre_authentication(payload), ec.ECDSA(hashes.SHA256()))
    bundle = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": key.hint}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
        },
    }
    return json.dumps(bundle, sort_keys=True, separators=(",", ":")) + "\n"


def _statement(manifest: Manifest, name: str) -> dict[str, Any]:
    files = sorted(manifest.files, key=lambda file: file.path)
    whole = hashlib.sha256(b"".join(bytes.fromhex(file.sha256) for file in files)).hexdigest()
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": whole}}],
        "predicateType": PREDICATE,
        "predicate": {
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": False,
                "ignore_paths": [],
            },
            "resources": [{"name": file.path, "algorithm": "sha256", "digest": file.sha256} for file in files],
        },
    }


def _pre_authentication(payload: bytes) -> bytes:
    """Return what DSSE signs: type and payload with their lengths."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
