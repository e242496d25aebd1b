"""The commands as a user types them, in processes of their own: exit codes and what is said."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from gate.policies.packaged import DEFAULT, FILES_ONLY
from gate.policies.read import parse_policy
from gate.records.clock import today
from gate.records.finding import Decision
from tests.e2e.command import Desk
from tests.promotion.accounts import PASSWORD
from tests.promotion.deciding import decide


@dataclass
class Site:
    """A desk with keys, a log and a policy with reviewers."""

    desk: Desk
    policy: object
    key: object

    @property
    def log(self):
        """The review log's path."""
        return self.desk.folder / "reviews.jsonl"


@pytest.fixture
def site(server, key, tmp_path):
    """Return a desk that is set up as docs/how-to/promotion.md says."""
    text = yaml.safe_dump(yaml.safe_load(DEFAULT.read_text()) | {"reviewers": {"names": ["ann", "bob"]}})
    (tmp_path / "policy.yml").write_text(text)
    settings = {
        **server.variables(),
        "GATE_POLICY": tmp_path / "policy.yml",
        "GATE_SIGNING_KEY": key.public.source,
        "GATE_PUBLIC_KEY": Path(key.public.source).with_name("gate.pub.pem"),
        "GATE_AUDIT_LOG": tmp_path / "reviews.jsonl",
    }
    return Site(Desk(tmp_path, settings), parse_policy(text, name="policy.yml", on=today()), key)


def test_keys_are_generated_once(tmp_path):
    """Two files and a key id; a second time is a usage error and leaves them."""
    desk = Desk(tmp_path, {})
    first = desk.gate("keys", "generate", "--to", "k.pem")
    assert first.code == 0, first
    assert {path.name for path in tmp_path.iterdir()} >= {"k.pem", "k.pub.pem"}
    before = (tmp_path / "k.pem").read_bytes()
    second = desk.gate("keys", "generate", "--to", "k.pem")
    assert (second.code, len(second.errors)) == (2, 1)
    assert (tmp_path / "k.pem").read_bytes() == before


@pytest.mark.story
def test_from_review_to_production_to_deployment(server, site, key):
    """A flagged version waits, is approved by a reviewer, promoted, verified online, offline and in the log."""
    from gate.attestations.log import ReviewLog

    name = server.candidate("weights of the story")
    decide(server, name, 1, key, log=ReviewLog(site.log), decision=Decision.FLAGGED, policy_digest=site.policy.digest)
    uri, to = f"models:/{name}/1", f"prod-{name}"
    desk = site.desk
    refused = desk.gate("promote", uri, "--to", to)
    assert (refused.code, "not approved: flagged" in refused.stderr) == (1, True), refused
    reviewer = {"GATE_REVIEWER_USERNAME": "ann", "GATE_REVIEWER_PASSWORD": PASSWORD}
    approved = desk.gate("review", "approve", uri, "--reason", "a brand's logo", "--expires", "7d", **reviewer)
    assert (approved.code, approved.stdout[:8]) == (0, "APPROVED"), approved
    promoted = desk.gate("promote", uri, "--to", to)
    assert (promoted.code, promoted.stdout[:8]) == (0, "PROMOTED"), promoted
    verified = desk.gate("verify", f"models:/{to}@champion", "--candidate", name)
    assert (verified.code, verified.stdout[:8]) == (0, "VERIFIED"), verified
    assert "approved by ann" in verified.stdout
    audited = desk.gate("verify", "--audit", site.log)
    assert (audited.code, "3 entries" in audited.stdout) == (0, True), audited
    site.log.write_text(site.log.read_text().replace("brand", "Brand"))
    broken = desk.gate("verify", "--audit", site.log)
    assert (broken.code, broken.stdout[:6]) == (1, "BROKEN"), broken


TAMPERED = {
    "nothing": (lambda site: None, {}, 0, "VERIFIED"),
    "a byte": (lambda site: (site / "model/data/model.pt2").write_text("x"), {}, 1, "not those of the decision"),
    "a file more": (lambda site: (site / "model/extra.py").write_text("x"), {}, 1, "not those of the decision"),
    "the policy": (lambda site: None, {"GATE_POLICY": FILES_ONLY}, 1, "under another policy"),
    "the key": (lambda site: None, {"GATE_PUBLIC_KEY": "other.pub.pem"}, 1, "No trusted key signed"),
    "the expiry": (lambda site: None, {"OLD": "1"}, 1, "expired at"),
    "the tag": (lambda site: (site / "attestation.json").write_text("{}"), {}, 1, "no DSSE envelope"),
    "a missing key": (lambda site: None, {"GATE_PUBLIC_KEY": "nowhere.pem"}, 2, "cannot be read"),
}


@pytest.mark.parametrize("case", TAMPERED.values(), ids=TAMPERED)
def test_offline_verification_names_what_was_tampered_with(site, key, tmp_path, case):
    """Each changed artifact, policy, key, expiry and attestation fails with its reason, without any registry."""
    import datetime as dt

    from gate.attestations.envelope import sign
    from gate.attestations.keys import generate_key
    from gate.promotion.verification import now
    from gate.records.artifact import build_manifest
    from tests.attestations.signed import statement

    tamper, variables, code, said = case
    model = tmp_path / "model"
    (model / "data").mkdir(parents=True)
    (model / "MLmodel").write_text("flavors: {}\n")
    (model / "data" / "model.pt2").write_text("weights")
    end = now() + dt.timedelta(days=-1 if "OLD" in variables else 1)
    said_of = statement(
        model_digest=build_manifest(model)[0].digest,
        policy_digest=site.policy.digest,
        decided_at=end - dt.timedelta(days=9),
        expires_at=end,
    )
    (tmp_path / "attestation.json").write_text(sign(said_of, key))
    generate_key(tmp_path / "other.pem", tmp_path / "other.pub.pem")
    tamper(tmp_path)
    ended = site.desk.gate(
        "verify", model, "--attestation", "attestation.json", GATE_AUDIT_LOG=None, MLFLOW_TRACKING_URI=None, **variables
    )
    assert ended.code == code, ended
    assert said in ended.stdout + ended.stderr
    assert len([line for line in ended.stdout.splitlines() if line.startswith("- ")]) == (1 if code == 1 else 0)


def test_an_unreachable_registry_is_exit_3(site):
    """Neither verified nor refused: the gate could not finish."""
    ended = site.desk.gate(
        "verify", "models:/prod@champion", "--registry-retries", "0", MLFLOW_TRACKING_URI="http://127.0.0.1:9"
    )
    assert (ended.code, ended.stdout, len(ended.errors)) == (3, "", 1), ended


def test_doctor_says_what_is_wrong_and_how_to_mend_it(server, site):
    """All well is exit 0; a key that others may read, an unknown key and a foreign model are named with the remedy."""
    name = server.candidate("weights of the doctor")
    well = site.desk.gate("doctor", "--candidate", name)
    assert (well.code, well.stdout.splitlines()[-1]) == (0, "nothing is wrong"), well
    loose = site.desk.folder / "loose.pem"
    shutil.copyfile(site.key.public.source, loose)
    loose.chmod(0o644)
    ill = site.desk.gate("doctor", "--candidate", "nowhere", GATE_SIGNING_KEY=loose, GATE_POLICY="nowhere.yml")
    assert ill.code == 2, ill
    assert f"chmod 600 {loose}" in ill.stdout
    assert "nowhere.yml cannot be read" in ill.stdout
    assert json.dumps(PASSWORD)[1:-1] not in ill.stdout + ill.stderr
    assert "MLflow 3." in well.stdout
    assert "artifact store       the tracking server: " in well.stdout
    assert "there is no registered model 'nowhere'" in ill.stdout


@pytest.mark.story
def test_doctor_finds_no_fault_in_a_production_that_is_made_by_the_first_promotion(server, site):
    """The model does not exist yet; afterwards its rights are looked at, and the printed command grants them."""
    name = server.candidate("weights before production")
    production = f"{name}-production"
    before = site.desk.gate("doctor", "--candidate", name, "--production", production)
    assert (before.code, before.stdout.splitlines()[-1]) == (0, "nothing is wrong"), before
    assert "rights, production   " in before.stdout
    assert f"gate promote models:/{name}/VERSION --to {production}" in before.stdout
    assert "UTC, as the registry's" in before.stdout
    with server.account("trainer") as client:
        client.create_registered_model(production)
    taken = site.desk.gate("doctor", "--candidate", name, "--production", production)
    assert taken.code == 2, taken
    assert f"gate may not write to {production}; expected MANAGE" in " ".join(taken.stdout.split())
    (command,) = [line.strip() for line in taken.stdout.splitlines() if "grant_user_permission" in line]
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **server.variables("admin")}
    python = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    subprocess.run(
        command, shell=True, check=True, env={**environment, "PATH": python}, timeout=120, capture_output=True
    )
    granted = site.desk.gate("doctor", "--candidate", name, "--production", production)
    assert (granted.code, f"gate may write to {production}" in granted.stdout) == (0, True), granted
