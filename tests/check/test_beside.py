"""What stands beside a signed decision: claims and a verification summary that other tools read, and the signature."""

import base64
import json

import pytest

from gate.attestations.claims import eval_results
from gate.attestations.envelope import MAX_ENVELOPE_BYTES, envelope_digest, open_payload
from gate.attestations.keys import generate_key
from gate.attestations.model_signature import generate_model_key
from gate.attestations.reviewing import reviewed
from gate.attestations.statement import Voice, scan_statement
from gate.check.beside import harness_digest, remove_beside, write_beside
from gate.check.files import BESIDE, EVAL_RESULT, MODEL_SIGNATURE, SIGNED_BILL, SUMMARY, CheckFiles
from gate.check.signing import Signing
from gate.records.artifact import EVERY_FILE, ArtifactFile, Manifest, build_manifest
from gate.records.evidence import Measured, Measurement
from gate.records.finding import Decision
from gate.records.limit import Limit
from gate.records.policy import Rule
from gate.renderers.cyclonedx import render
from tests.attestations.scanned import RULES, SUSPECT, beside_bank, evidence, outcomes, sizes, verdict
from tests.attestations.signed import NOW, digest
from tests.renderers import reports

BILL = render(reports.flagged())
SUMMARY_FIELDS = {
    "verifier",
    "timeVerified",
    "resourceUri",
    "policy",
    "inputAttestations",
    "verificationResult",
    "verifiedLevels",
    "slsaVersion",
}
"""Fields of https://slsa.dev/spec/v1.0/verification_summary; `dependencyLevels`, which is optional, is left out."""


@pytest.fixture
def signing(tmp_path):
    """Return both keys."""
    model_key = generate_model_key(tmp_path / "m.pem", tmp_path / "m.pub.pem")
    return Signing(generate_key(tmp_path / "k.pem", tmp_path / "k.pub.pem"), None, model_key)


@pytest.fixture
def files(tmp_path):
    """Return a check's directory with a bundle."""
    made = CheckFiles.create(tmp_path / "out")
    (made.root / "bundle").mkdir()
    (made.root / "bundle" / "MLmodel").write_text("flavors: {}\n")
    return made


def decided(files, approve):
    """Return evidence and the statement of a flagged scan, or of its approval by a reviewer."""
    bundle = build_manifest(files.root / "bundle", ignored=EVERY_FILE)[0].digest
    found = evidence(bundle_digest=bundle)
    scanned = scan_statement(found, verdict(found), RULES, at=NOW)
    voice = Voice(reviewer="ann", outcome="approved", reason="seen", at=NOW)
    return found, reviewed(scanned, voice, needed=1, days=30, most=999) if approve else scanned


def read(files, name, signing):
    """Return the signed statement in a file."""
    opened = open_payload((files.root / name).read_text(), [signing.key.public])
    assert opened.reason == ""
    return json.loads(opened.payload)


def test_each_limit_is_a_claim_that_anybody_can_check(files, signing):
    """Metric, comparator, threshold and value say whether it passed; the harness is bound by its digest."""
    found, statement = decided(files, approve=False)
    write_beside(files, statement, "{}", found, signing, BILL)
    made = read(files, EVAL_RESULT, signing)
    claims = {claim["metric"]: claim for claim in made["predicate"]["claims"]}
    assert claims["unsafe-pickle/unsafe-globals"] == {
        "metric": "unsafe-pickle/unsafe-globals",
        "comparator": "<=",
        "threshold": 0.0,
        "value": 0.0,
        "passed": True,
    }
    assert claims["neural-cleanse/anomaly-index"]["passed"] is False
    for claim in claims.values():
        keeps = (
            claim["value"] <= claim["threshold"]
            if claim["comparator"] == "<="
            else claim["value"] >= claim["threshold"]
        )
        assert claim["passed"] is keeps
    assert made["predicate"]["harness"]["digest"] == {"sha256": harness_digest().removeprefix("sha256:")}
    assert made["predicate"]["assuranceLevel"] == "self_attested"
    assert made["subject"][0]["digest"] == {"sha256": 64 * "a"}


def claimed(found, policy=RULES):
    """Return what is claimed of a scan, and its claims by metric."""
    made = eval_results(scan_statement(found, verdict(found, policy), policy, at=NOW), found, digest("e"))
    return made["predicate"], {claim["metric"]: claim for claim in made["predicate"]["claims"]}


def test_a_sample_size_is_claimed_of_what_was_measured_on_samples():
    """Neither of bytes, nor of a detector that could have used them and ran the model on none."""
    predicate, claims = claimed(evidence())
    sized = {metric for metric, claim in claims.items() if "sampleSize" in claim}
    assert sized == {"neural-cleanse/anomaly-index", "neural-cleanse/size-ratio"}
    assert {claims[metric]["sampleSize"] for metric in sized} == {90}
    assert "activation-clustering/silhouette" in claims
    assert predicate["dataset"] == {"name": "clean samples", "digest": {"sha256": 64 * "d"}}


def test_passes_over_inputs_that_are_no_samples_have_no_sample_size():
    """An inversion begins with noise: the model is run often, and on none of the samples."""
    rows = (Measurement(metric="agreement", value=0.2, location=SUSPECT),)
    policy = RULES.model_copy(update={"detectors": {"model-inversion": Rule(limits={"agreement": Limit(max=0.9)})}})
    made = {"model-inversion": Measured(measurements=rows, seconds=1.0, sample_passes=900)}
    predicate, claims = claimed(evidence(outcomes=made, policy_digest=policy.digest), policy)
    assert "sampleSize" not in claims["model-inversion/agreement"]
    assert "dataset" not in predicate


@pytest.mark.parametrize(("compared", "sized"), [("neural-cleanse", True), ("head-indicators", False)])
def test_a_p_value_has_the_samples_of_the_detectors_behind_it(compared, sized):
    """One over weights alone was measured on none."""
    bank = beside_bank()
    seen = bank.comparison.model_copy(update={"detectors": (compared,)})
    _, claims = claimed(evidence(bank=bank.model_copy(update={"comparison": seen})))
    assert ("sampleSize" in claims["calibration/p-value-bank"]) is sized


def test_the_bill_of_materials_is_signed_whole(files, signing):
    """The statement's predicate is the bill itself, of in-toto's type, about the decision's bytes."""
    found, statement = decided(files, approve=False)
    write_beside(files, statement, "{}", found, signing, BILL)
    made = read(files, SIGNED_BILL, signing)
    assert made["predicateType"] == "https://cyclonedx.org/bom"
    assert made["predicate"] == json.loads(BILL)
    assert [one["digest"]["sha256"] for one in made["subject"]] == [one.digest.sha256 for one in statement.subject]


def test_the_bill_of_a_thousand_files_with_long_names_can_be_signed(files, signing):
    """It is no tag's, and has a bound of its own."""
    report = reports.flagged()
    long = tuple(ArtifactFile(path=f"{n:04}{290 * 'x'}", size_bytes=1, sha256=64 * "a") for n in range(2000))
    bill = render(report.model_copy(update={"manifest": Manifest(files=long)}))
    found, statement = decided(files, approve=False)
    write_beside(files, statement, "{}", found, signing, bill)
    assert MAX_ENVELOPE_BYTES < (files.root / SIGNED_BILL).stat().st_size < 2 << 20


def test_what_was_not_judged_is_not_claimed(files, signing):
    """A detector that was skipped leaves no claim, rather than a failed or passed one."""
    found = evidence(outcomes={**outcomes(), "unsafe-pickle": outcomes()["head-indicators"]})
    statement = scan_statement(found, verdict(found), RULES, at=NOW)
    write_beside(files, statement, "{}", found, signing, BILL)
    metrics = [claim["metric"] for claim in read(files, EVAL_RESULT, signing)["predicate"]["claims"]]
    assert "unsafe-pickle/unsafe-globals" not in metrics
    assert "neural-cleanse/anomaly-index" in metrics


@pytest.mark.parametrize(
    ("approve", "result", "level"), [(True, "PASSED", "GATE_BACKDOOR_SCREENED"), (False, "FAILED", "FAILED")]
)
def test_the_summary_has_the_documented_fields(approve, result, level, files, signing):
    """Every required field of SLSA's v1, types as documented, no level of SLSA's own, and the decision as its input."""
    found, statement = decided(files, approve)
    write_beside(files, statement, "{}", found, signing, BILL)
    made = read(files, SUMMARY, signing)
    predicate = made["predicate"]
    assert made["_type"] == "https://in-toto.io/Statement/v1"
    assert made["predicateType"] == "https://slsa.dev/verification_summary/v1"
    assert set(predicate) == SUMMARY_FIELDS
    assert (predicate["verificationResult"], predicate["verifiedLevels"]) == (result, [level])
    assert not any(name.startswith("SLSA_") for name in predicate["verifiedLevels"])
    assert predicate["policy"] == {
        "uri": "urn:model-promotion-gate:policy:small",
        "digest": {"sha256": RULES.digest.removeprefix("sha256:")},
    }
    assert predicate["inputAttestations"] == [
        {"uri": "attestation.json", "digest": {"sha256": envelope_digest("{}").removeprefix("sha256:")}}
    ]
    assert predicate["timeVerified"] == "2026-11-22T12:00:00Z"
    covered = {one["digest"]["sha256"] for one in made["subject"]}
    assert {digest[7:] for digest in statement.covered_digests} == covered


def test_a_summary_of_a_bundle_alone_does_not_pass_the_candidate(files, signing):
    """Under `serve: bundle` a reader of the summary sees the bundle as its only subject."""
    bundle = build_manifest(files.root / "bundle", ignored=EVERY_FILE)[0].digest
    policy = RULES.model_copy(update={"serve": "bundle"})
    found = evidence(bundle_digest=bundle, outcomes=outcomes(neural_cleanse=sizes(index=1.0)))
    scanned = scan_statement(found, verdict(found, policy), policy, at=NOW)
    voice = Voice(reviewer="ann", outcome="approved", reason="seen", at=NOW)
    write_beside(files, reviewed(scanned, voice, needed=1, days=30, most=999), "{}", found, signing, BILL)
    made = read(files, SUMMARY, signing)
    assert [one["digest"]["sha256"] for one in made["subject"]] == [bundle.removeprefix("sha256:")]


def test_only_an_approved_bundle_as_it_was_measured_is_signed(files, signing):
    """Whoever verifies files alone takes a signature for an approval, so that a flagged bundle has none."""
    found, flagged = decided(files, approve=False)
    write_beside(files, flagged, "{}", found, signing, BILL)
    assert not (files.root / MODEL_SIGNATURE).exists()
    found, approved = decided(files, approve=True)
    assert approved.predicate.decision is Decision.APPROVED
    write_beside(files, approved, "{}", found, signing, BILL)
    bundle = json.loads((files.root / MODEL_SIGNATURE).read_text())
    payload = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    assert [one["name"] for one in payload["predicate"]["resources"]] == ["MLmodel"]
    (files.root / "bundle" / "MLmodel").write_text("changed\n")
    write_beside(files, approved, "{}", found, signing, BILL)
    assert not (files.root / MODEL_SIGNATURE).exists()


def test_what_an_earlier_decision_left_goes_with_it(files, signing):
    """An unsigned check or a new one leaves none of it."""
    found, approved = decided(files, approve=True)
    write_beside(files, approved, "{}", found, signing, BILL)
    assert all((files.root / name).exists() for name in BESIDE)
    remove_beside(files)
    assert not any((files.root / name).exists() for name in BESIDE)
    write_beside(files, approved, "{}", found, signing, BILL)
    files.begin()
    assert not any((files.root / name).exists() for name in BESIDE)


def test_the_gates_own_digest_names_its_files():
    """It is stable within an installation, and of the form of every digest."""
    assert harness_digest() == harness_digest()
    assert len(harness_digest()) == len(digest("a"))
