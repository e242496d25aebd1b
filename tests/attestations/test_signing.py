"""What is signed holds, and nothing else does."""

import base64
import datetime as dt
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gate.attestations.envelope import Expected, open_envelope, sign, verify
from gate.attestations.keys import generate_key, read_public_keys, read_signing_key
from gate.attestations.reviewing import reviewed
from gate.attestations.statement import Statement, Voice
from gate.records.artifact import ModelRef
from gate.records.errors import UsageError
from gate.records.finding import Decision
from gate.records.record import MalformedError
from tests.attestations.signed import MODEL, NOW, digest, statement

EXPECTED = Expected(digest=digest("a"), policy_digest=digest("b"), model=MODEL, candidate="cand")


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Return a signing key and the public keys that trust it."""
    folder = tmp_path_factory.mktemp("keys")
    key = generate_key(folder / "key.pem", folder / "key.pub.pem")
    return key, read_public_keys([str(folder / "key.pub.pem")])


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Return a key that nobody trusts."""
    folder = tmp_path_factory.mktemp("other")
    return generate_key(folder / "key.pem", folder / "key.pub.pem")


def test_a_signed_approval_holds(pair):
    """The same bytes, policy, version and an unexpired day: no reason against it, and the key is named."""
    key, keys = pair
    found = verify(sign(statement(), key), keys, NOW, EXPECTED)
    assert found.holds
    assert found.key_id == key.key_id
    assert found.statement == statement()


def test_signing_twice_gives_the_same_envelope(pair):
    """Ed25519 is deterministic, so that publishing twice changes nothing."""
    assert sign(statement(), pair[0]) == sign(statement(), pair[0])


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        (Expected(digest("d"), digest("b")), "The bytes are not those of the decision"),
        (Expected(digest("a"), digest("d")), "made under another policy"),
        (Expected(digest("a"), digest("b"), ModelRef(registry="mlflow", name="cand", version="8")), "another version"),
        (Expected(digest("a"), digest("b"), candidate="fraud"), "expected 'fraud'"),
    ],
    ids=["bytes", "policy", "version", "candidate"],
)
def test_what_differs_is_named(pair, expected, said):
    """One reason, with what was expected and what was got."""
    key, keys = pair
    found = verify(sign(statement(), key), keys, NOW, expected)
    assert not found.holds
    assert [said in reason for reason in found.reasons] == [True]


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (NOW + dt.timedelta(days=30), "expired at 2026-12-22"),
        (NOW - dt.timedelta(days=1), "dated in the future"),
    ],
    ids=["expired", "future"],
)
def test_a_decision_holds_for_its_time_alone(pair, now, said):
    """It ends at its expiry to the second, and does not hold before it was made."""
    key, keys = pair
    (reason,) = verify(sign(statement(), key), keys, now, EXPECTED).reasons
    assert said in reason


def test_every_reason_is_named(pair):
    """Flagged, changed, another policy and expired: four reasons."""
    key, keys = pair
    flagged = sign(statement(decision=Decision.FLAGGED), key)
    found = verify(flagged, keys, NOW + dt.timedelta(days=99), Expected(digest("d"), digest("e")))
    assert len(found.reasons) == 4


def test_another_key_is_not_trusted(pair, other):
    """The signature is good and of nobody whom the verifier trusts."""
    (reason,) = verify(sign(statement(), other), pair[1], NOW, EXPECTED).reasons
    assert reason.startswith("No trusted key signed the attestation")


def test_a_key_id_is_no_proof(pair, other):
    """A foreign signature under the trusted key's id does not verify."""
    envelope = json.loads(sign(statement(), other))
    envelope["signatures"][0]["keyid"] = pair[0].key_id
    assert not verify(json.dumps(envelope), pair[1], NOW, EXPECTED).holds


def test_rotation_trusts_old_and_new(pair, other, tmp_path):
    """Two keys in one file: decisions under either hold; with the old one taken out, its decisions do not."""
    both = tmp_path / "trusted.pem"
    texts = [Path(key.public.source).with_name("key.pub.pem").read_text() for key in (pair[0], other)]
    both.write_text("".join(texts))
    keys = read_public_keys([str(both)])
    assert [verify(sign(statement(), key), keys, NOW, EXPECTED).holds for key in (pair[0], other)] == [True, True]
    assert not verify(sign(statement(), pair[0]), read_public_keys([texts[1]]), NOW, EXPECTED).holds


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_changed_byte_of_the_payload_voids(pair, data):
    """Whichever byte of the statement is changed to whatever else, no statement comes out."""
    key, keys = pair
    envelope = json.loads(sign(statement(), key))
    payload = bytearray(base64.standard_b64decode(envelope["payload"]))
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
    envelope["payload"] = base64.standard_b64encode(payload).decode()
    found = open_envelope(json.dumps(envelope), keys)
    assert found.statement is None
    assert found.reasons


@settings(max_examples=40, deadline=None)
@given(
    st.one_of(
        st.text(max_size=200),
        st.binary(max_size=200),
        st.recursive(
            st.one_of(st.none(), st.integers(), st.text(max_size=9)),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3),
                st.dictionaries(st.sampled_from(["payload", "payloadType", "signatures", "sig", "keyid"]), inner),
            ),
            max_leaves=12,
        ).map(json.dumps),
    )
)
def test_a_hostile_tag_raises_nothing(pair, raw):
    """Whatever stands in the tag, the answer is a reason."""
    found = verify(raw, pair[1], NOW, EXPECTED)
    assert not found.holds
    assert found.reasons


def test_an_unsigned_tag_says_so(pair):
    """Nothing, and the word that the gate writes itself, are an unsigned verdict."""
    for text in ("", "unsigned"):
        assert verify(text, pair[1], NOW, EXPECTED).reasons == ("The verdict is unsigned.",)


def test_subject_and_predicate_are_one_truth():
    """A statement whose subject names other bytes than its predicate is refused, whoever signed it."""
    value = json.loads(statement().canonical_json())
    value["subject"][0]["digest"]["sha256"] = 64 * "d"
    with pytest.raises(MalformedError, match="different bytes"):
        Statement.from_json(json.dumps(value).encode())


def test_a_bundle_is_what_level_b_covers(pair):
    """Under level B the candidate's own bytes are not approved, and the bundle's are."""
    key, keys = pair
    envelope = sign(statement(assurance="B", bundle_digest=digest("e")), key)
    assert verify(envelope, keys, NOW, Expected(digest("e"), digest("b"))).holds
    assert not verify(envelope, keys, NOW, Expected(digest("a"), digest("b"))).holds


@pytest.mark.parametrize("changes", [{"assurance": "C"}, {"assurance": None}, {"assurance": "B"}], ids=str)
def test_what_cannot_be_approved_cannot_be_stated(changes):
    """No approval of level C, of nothing, or of level B without a bundle can be written down."""
    with pytest.raises(ValueError, match=r"level|bundle"):
        statement(**changes)


def _voice(name, outcome="approved"):
    return Voice(reviewer=name, outcome=outcome, reason="seen", at=NOW)


def test_four_eyes_approve_together(pair):
    """One of two needed voices leaves it flagged, the second approves, and the same voice twice counts once."""
    key, keys = pair
    flagged = statement(decision=Decision.FLAGGED)
    one = reviewed(flagged, _voice("ann"), needed=2, days=10, most=999)
    again = reviewed(one, _voice("ann"), needed=2, days=10, most=999)
    both = reviewed(again, _voice("bob"), needed=2, days=10, most=999)
    outcomes = [verify(sign(s, key), keys, NOW, EXPECTED).holds for s in (one, again, both)]
    assert outcomes == [False, False, True]
    assert both.predicate.expires_at == NOW + dt.timedelta(days=10)


def test_one_rejection_outweighs(pair):
    """Any voice against keeps the version flagged, and the reason says so."""
    key, keys = pair
    against = reviewed(statement(decision=Decision.FLAGGED), _voice("bob", "rejected"), needed=1, days=10, most=999)
    both = reviewed(against, _voice("ann"), needed=1, days=10, most=999)
    (reason,) = verify(sign(both, key), keys, NOW, EXPECTED).reasons
    assert "rejected by a reviewer" in reason


def test_keys_are_private_and_never_overwritten(tmp_path):
    """The private file is its owner's alone; a second generation refuses."""
    generate_key(tmp_path / "a.pem", tmp_path / "a.pub.pem")
    assert (tmp_path / "a.pem").stat().st_mode & 0o077 == 0
    with pytest.raises(UsageError, match="never overwritten"):
        generate_key(tmp_path / "a.pem", tmp_path / "b.pub.pem")


def test_an_encrypted_key_needs_its_passphrase(tmp_path):
    """With the passphrase it signs as before; without or with another it is a usage error."""
    key = generate_key(tmp_path / "a.pem", tmp_path / "a.pub.pem", "correct horse")
    assert read_signing_key(str(tmp_path / "a.pem"), "correct horse").key_id == key.key_id
    for wrong in (None, "another"):
        with pytest.raises(UsageError, match="signing key"):
            read_signing_key(str(tmp_path / "a.pem"), wrong)


def test_key_material_is_in_no_message(tmp_path):
    """A damaged key from the environment is refused without a word of its text."""
    generate_key(tmp_path / "a.pem", tmp_path / "a.pub.pem")
    text = (tmp_path / "a.pem").read_text()
    secret = text.splitlines()[1]
    with pytest.raises(UsageError) as refused:
        read_signing_key(text.replace(secret, secret[:-4]))
    assert secret[:10] not in str(refused.value)
    assert secret not in repr(read_signing_key(text))


def test_no_key_at_all_is_refused():
    """A verifier without a key would verify nothing."""
    with pytest.raises(UsageError, match="no public key"):
        read_public_keys([])


def test_a_statement_names_the_outputs_and_one_without_them_keeps_its_bytes(pair):
    """An earlier gate's statement has no such key, and signs to the same bytes as before."""
    outputs = [{"name": "logits", "role": "judged"}, {"name": "aux[0]", "role": "not-examined"}]
    key, keys = pair
    found = verify(sign(statement(outputs=outputs), key), keys, NOW, EXPECTED)
    assert found.holds
    assert [(output.name, output.role) for output in found.statement.predicate.outputs] == [
        ("logits", "judged"),
        ("aux[0]", "not-examined"),
    ]
    assert b"outputs" not in statement().canonical_json()
