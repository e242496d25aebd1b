"""A clean scan of bytes that a reviewer rejected: whatever is written of it says what was signed, and who rejected."""

import datetime as dt
import json
import zipfile

import pytest

from gate.attestations.envelope import claimed, open_payload, sign
from gate.attestations.keys import generate_key
from gate.attestations.log import ReviewLog, Said
from gate.attestations.reviewing import reviewed
from gate.attestations.statement import Voice
from gate.check.files import ATTESTATION, SIGNED_BILL, SUMMARY, VERDICT, CheckFiles
from gate.check.pack import pack
from gate.check.publish import publish
from gate.check.report import Context, conclude
from gate.check.rules import Rules
from gate.check.signing import Signing
from gate.records.artifact import ModelRef
from gate.records.errors import UsageError
from gate.records.finding import Decision
from gate.records.policy import Reviewers, Stage
from gate.renderers import RENDERERS, comment, headline, summary
from gate.renderers.sarif import EXIT_CODES
from gate.renderers.view import state_of
from tests.attestations.scanned import RULES, evidence, outcomes, sizes
from tests.stand_ins.one_version import OneVersion

MODEL = ModelRef(registry="mlflow", name="m", version="1")
DETECTORS = ("unsafe-pickle", "neural-cleanse", "head-indicators")
POLICY = RULES.model_copy(
    update={
        "stages": (Stage(detectors=DETECTORS),),
        "detectors": {name: RULES.detectors[name] for name in DETECTORS},
        "reviewers": Reviewers(names=("ann",), approvals=1, identity="stated"),
    }
)
WHY = "a planted patch<b>`|"
RENDERED = tuple(name for name, _ in RENDERERS.values() if name != "report.json")
SAID = "ann rejected these bytes on"


class Reporting(OneVersion):
    """A registry that keeps the reports."""

    def log_reports(self, _ref, folder, _key):
        """Remember the files."""
        self.reports = {path.name: path.read_text() for path in folder.iterdir()}
        return "runs:/abc/report"


class Site:
    """A version whose scan finds nothing, with key and log."""

    def __init__(self, folder):
        self.log = ReviewLog(folder / "log.jsonl")
        self.key = generate_key(folder / "k.pem", folder / "k.pub.pem")
        self.signing = Signing(self.key, self.log)
        self.registry = Reporting()
        self.files = CheckFiles.create(folder / "out")
        self.folder = folder
        self.time = dt.datetime.now(dt.UTC).replace(microsecond=0) - dt.timedelta(hours=1)

    def now(self):
        """Return a time one minute after the last one, as a check writes it."""
        self.time += dt.timedelta(minutes=1)
        return f"{self.time:%Y-%m-%dT%H:%M:%SZ}"

    def judge(self):
        """Judge the scan, which approves it."""
        clean = outcomes(neural_cleanse=sizes(1.0, 0.9), activation_clustering=None, model_inversion=None)
        found = evidence(model=MODEL, outcomes=clean, policy_digest=POLICY.digest)
        context = Context(str(MODEL), MODEL, Rules(POLICY), None, "out")
        self.files.write("manifest.json", "{}")
        assert conclude(found, context, self.files).decision is Decision.APPROVED

    def check(self, signing=...):
        """Judge the scan and publish the verdict."""
        self.judge()
        return publish(self.registry, self.files, self.signing if signing is ... else signing)[0]

    def say(self, outcome):
        """Let the reviewer decide about what was signed."""
        said, at = claimed(self.registry.tags["gate.attestation"]), dt.datetime.fromisoformat(self.now())
        voice = Voice(reviewer="ann", outcome=outcome, reason=WHY, at=at)
        envelope = sign(reviewed(said, voice, needed=1, days=9, most=99), self.key)
        digest = said.predicate.model_digest
        self.log.append(Said("review", MODEL, digest, outcome, envelope, "ann", WHY), at)
        self.registry.tags["gate.attestation"] = envelope

    def predicate(self, name):
        """Return what a signed file says."""
        opened = open_payload((self.files.root / name).read_text(), [self.key.public])
        return json.loads(opened.payload)["predicate"]

    def packed(self):
        """Return the index of the evidence pack."""
        pack(self.files.root, self.folder / "a.zip", self.log)
        with zipfile.ZipFile(self.folder / "a.zip") as opened:
            return opened.read("README.md").decode()


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Return a version, and let a minute pass before each check and review of it."""
    made = Site(tmp_path)
    monkeypatch.setattr("gate.check.report.now", made.now)
    return made


@pytest.fixture
def rejected(site):
    """Return a version that was checked, rejected, and checked again."""
    assert site.check().decision is Decision.APPROVED
    site.say("rejected")
    assert site.check().decision is Decision.FLAGGED
    return site


def test_every_report_says_what_was_signed_and_names_the_rejection(rejected):
    """In the directory and in the registry, as text and as data."""
    read = {name: (rejected.files.root / name).read_text() for name in RENDERED}
    assert read["report.md"].startswith("# FLAGGED for human review")
    assert "FLAGGED for human review" in read["report.html"]
    for name in RENDERED:
        assert SAID in read[name], name
    assert not any("<b>" in read[name] for name in ("report.md", "report.html", "report.junit.xml"))
    assert json.loads(read["report.sarif"])["runs"][0]["invocations"][0]["exitCode"] == 1
    assert "APPROVED" not in read["report.md"]
    assert "gate promote models:" not in read["report.md"]
    assert {name: rejected.registry.reports[name] for name in ("report.md", "report.html", "report.cdx.json")} == {
        name: read[name] for name in ("report.md", "report.html", "report.cdx.json")
    }


def test_the_signed_bill_and_the_summary_say_the_same(rejected):
    """A reader of one of them alone is told no other decision than by the other."""
    assert rejected.predicate(ATTESTATION)["decision"] == "flagged"
    assert rejected.predicate(SUMMARY)["verificationResult"] == "FAILED"
    bill = rejected.predicate(SIGNED_BILL)
    assert bill == json.loads((rejected.files.root / "report.cdx.json").read_text())
    properties = {one["name"]: one["value"] for one in bill["metadata"]["component"]["properties"]}
    assert properties["gate:decision"] == "flagged"
    assert SAID in properties["gate:rejection"]
    assert bill["declarations"]["attestations"][0]["summary"] == "The decision of model-promotion-gate: flagged."


def test_the_evidence_pack_says_what_was_signed(rejected):
    """With who rejected, when and why, and nothing of it is markup."""
    index = rejected.packed()
    assert "Decision: **flagged**" in index
    assert SAID in index
    assert "<b>" not in index


def test_what_pipelines_show_is_flagged_too(rejected):
    """Comment, summary, outputs, and the exit code that the report is of."""
    report = rejected.files.report()
    assert report.decision is Decision.FLAGGED
    assert EXIT_CODES[state_of(report)] == 1
    assert headline.headline(report)["decision"] == "flagged"
    for text in (comment.render(report), summary.render(report)):
        assert "FLAGGED for human review" in text
        assert SAID in text


def test_the_verdict_stays_the_policys_own(rejected):
    """It follows from the evidence; who judges it again gets the same, and publishes the same."""
    assert rejected.files.verdict().decision is Decision.APPROVED
    before = {name: (rejected.files.root / name).read_text() for name in (*RENDERED, VERDICT, "report.json")}
    assert publish(rejected.registry, rejected.files, rejected.signing)[0].decision is Decision.FLAGGED
    assert {name: (rejected.files.root / name).read_text() for name in before} == before


def test_what_is_judged_again_is_not_packed_with_an_earlier_signature(rejected):
    """The reports then say approved, and what was signed flagged."""
    rejected.judge()
    with pytest.raises(UsageError, match=r"attestation\.json does not belong"):
        rejected.packed()


@pytest.mark.parametrize("how", ["taken back", "unsigned"])
def test_a_rejection_leaves_with_the_signature_that_named_it(rejected, how):
    """Its reviewer approved the bytes; or nothing is signed any more, so that nothing is said of reviewers."""
    if how == "taken back":
        rejected.say("approved")
    assert rejected.check(None if how == "unsigned" else ...).decision is Decision.APPROVED
    for name in RENDERED:
        assert SAID not in (rejected.files.root / name).read_text()
    assert "Decision: **approved**" in rejected.packed()


def test_the_next_step_is_the_reviewers(rejected):
    """Nothing is promoted; whoever rejected it may approve it."""
    text = (rejected.files.root / "report.md").read_text()
    assert "gate review show models:/m/1" in text
    assert "gate review approve models:/m/1" in text
    assert "gate review reject" not in text


def test_a_review_after_the_check_stands_in_the_pack(site):
    """An attestation of the review in the check's directory says more than the scan's verdict: both are told."""
    site.check()
    site.say("rejected")
    (site.files.root / ATTESTATION).write_text(site.registry.tags["gate.attestation"] + "\n")
    with pytest.raises(UsageError, match=r"attestation\.json does not belong"):
        site.packed()
