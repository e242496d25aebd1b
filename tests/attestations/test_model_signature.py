"""The signature over a bundle's files is verified by OpenSSF's own command line."""

import base64
import hashlib
import json

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gate.attestations.keys import generate_key
from gate.attestations.model_signature import MEDIA_TYPE, generate_model_key, model_signature, read_model_key
from gate.records.artifact import EVERY_FILE, build_manifest
from gate.records.errors import UsageError

HOSTILE = 'weights "\n\u202e.bin'


@pytest.fixture
def folder(tmp_path):
    """Return a folder of files, in folders too, one of which has a hostile name."""
    root = tmp_path / "bundle"
    (root / "data" / "deep").mkdir(parents=True)
    (root / "MLmodel").write_text("flavors: {}\n")
    (root / "data" / "model.pt2").write_bytes(b"weights")
    (root / "data" / "deep" / "empty").write_bytes(b"")
    (root / "data.txt").write_text("sorts between")
    (root / HOSTILE).write_text("x")
    return root


@pytest.fixture
def signed(tmp_path, folder):
    """Return the signature's file and the public key's."""
    key = generate_model_key(tmp_path / "m.pem", tmp_path / "m.pub.pem")
    path = tmp_path / "model.sig"
    path.write_text(model_signature(build_manifest(folder, ignored=EVERY_FILE)[0], "bundle", key))
    return path, tmp_path / "m.pub.pem"


def test_the_bundle_is_of_the_documented_form(signed, folder):
    """Media type, key hint, and a DSSE envelope over every file's digest that the public key verifies."""
    path, public = signed
    bundle = json.loads(path.read_text())
    assert bundle["mediaType"] == MEDIA_TYPE
    assert bundle["verificationMaterial"]["publicKey"]["hint"] == hashlib.sha256(public.read_bytes()).hexdigest()
    envelope = bundle["dsseEnvelope"]
    payload = base64.b64decode(envelope["payload"])
    said = f"DSSEv1 28 {envelope['payloadType']} {len(payload)} ".encode() + payload
    key = serialization.load_pem_public_key(public.read_bytes())
    key.verify(base64.b64decode(envelope["signatures"][0]["sig"]), said, ec.ECDSA(hashes.SHA256()))
    statement = json.loads(payload)
    names = [one["name"] for one in statement["predicate"]["resources"]]
    assert names == sorted(names)
    assert set(names) == {"MLmodel", "data.txt", "data/model.pt2", "data/deep/empty", HOSTILE}
    digests = (bytes.fromhex(one["digest"]) for one in statement["predicate"]["resources"])
    assert statement["subject"][0]["digest"]["sha256"] == hashlib.sha256(b"".join(digests)).hexdigest()


def test_a_key_of_another_kind_is_refused(tmp_path):
    """Decisions are signed by Ed25519, files by P-256, and neither message quotes a key."""
    generate_key(tmp_path / "d.pem", tmp_path / "d.pub.pem")
    with pytest.raises(UsageError, match="is no P-256 key"):
        read_model_key(str(tmp_path / "d.pem"))
    with pytest.raises(UsageError, match="cannot be read") as refused:
        read_model_key("-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----")
    assert "secret" not in str(refused.value)


def verified(path, public, folder):
    """Run OpenSSF's command line and return its exit code and what it printed."""
    from model_signing._cli import main

    options = ["--signature", str(path), "--public_key", str(public)]
    return CliRunner().invoke(main, ["verify", "key", str(folder), *options])


def test_openssf_verifies_it_and_refuses_changed_added_and_missing_files(signed, folder):
    """Its own exit code says so for the folder as it was, and for no other."""
    path, public = signed
    first = verified(path, public, folder)
    assert first.exit_code == 0, first.output
    (folder / "data" / "model.pt2").write_bytes(b"other")
    assert verified(path, public, folder).exit_code != 0
    (folder / "data" / "model.pt2").write_bytes(b"weights")
    (folder / "added").write_text("")
    assert verified(path, public, folder).exit_code != 0
    (folder / "added").unlink()
    (folder / "MLmodel").unlink()
    assert verified(path, public, folder).exit_code != 0
