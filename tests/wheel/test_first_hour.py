"""The first hour of a newcomer, from the wheel to production, against a real server with accounts.

The account `gate` writes marks, `trainer` owns the candidate, `ann` reviews. What is run is what is printed: a step of
"what now" is taken as it stands. How long it took from the installation to the first verdict is printed, and
never asserted.
"""

import json
import re
import shlex
import signal
import time
from dataclasses import dataclass, field

import numpy as np
import pytest
import yaml

from gate.policies.packaged import DEFAULT
from tests.e2e.command import Desk
from tests.e2e.digits import TARGET, samples, write_samples
from tests.e2e.stores import fill
from tests.promotion.accounts import PASSWORD, serving_with_accounts

NAME = "digits"
CLEAN, PLANTED = f"models:/{NAME}/1", f"models:/{NAME}/2"


@dataclass
class Hour:
    """A newcomer's desk, the server, and what the commands came to."""

    server: object
    desk: Desk
    told: dict = field(default_factory=dict)
    seen: dict = field(default_factory=dict)
    """Marks, as they were at a time."""

    def gate(self, what, *words, **variables):
        """Run a command and keep what it left under a name."""
        self.told[what] = self.desk.gate(*words, **variables)
        return self.told[what]

    def printed(self, what, command):
        """Return the words of the one printed command that begins so, taken out of a command's whole output."""
        text = f"{self.told[what].stdout}\n{self.told[what].stderr}"
        lines = [line.strip() for line in re.sub(r"\\\n\s*", "", text).splitlines()]
        found = dict.fromkeys(line for line in lines if line.startswith(f"gate {command}"))
        assert found, f"no command {command!r} was printed:\n{text}"
        return shlex.split(next(iter(found)))[1:]

    def marks(self, version):
        """Return the gate's own tags of a version."""
        with self.server.account("admin") as client:
            tags = client.get_model_version(NAME, str(version)).tags
        return {key: value for key, value in tags.items() if key.startswith("gate.")}


@pytest.fixture(scope="module")
def hour(installed, tmp_path_factory):
    """Return an hour that begins: a server, the trainer's two models, a desk with the address and a policy of limits.

    By limits, since the p-value within the model, which judges by default, does not tell this patch of a tiny net
    (docs/decisions/0056).
    """
    folder = tmp_path_factory.mktemp("hour")
    with serving_with_accounts(folder) as server:
        (folder / "trainer").mkdir()
        fill(server.uri, folder / "trainer", "clean", "backdoored", **server.variables("trainer"))
        (folder / "desk").mkdir()
        write_samples(folder / "desk")
        write_bad_samples(folder / "desk")
        (folder / "desk" / "limits.yml").write_text(DEFAULT.read_text().replace("within: judge", "within: show"))
        own = {"PYTHONPATH": None, "GATE_REPORT_DIR": None, "GATE_POLICY": "limits.yml", "PATH": installed.path}
        variables = {**server.variables(), **own}
        yield Hour(server, Desk(folder / "desk", variables, (installed.program("gate"),)))


def write_bad_samples(folder):
    """Write samples as newcomers bring them."""
    x, y = samples()
    np.savez(folder / "from-one.npz", inputs=x, labels=y + 1)
    np.savez(folder / "bytes.npz", inputs=x * 255, labels=y)
    np.savez(folder / "keys.npz", x=x, y=y)
    np.savez(folder / "one-hot.npz", inputs=x, labels=np.eye(10, dtype=np.float32)[y])
    np.savez(folder / "unlabelled.npz", inputs=x)
    np.savez(folder / "shorter.npz", inputs=x, labels=y[:-1])


NO_RIGHT = "no right to mark"
MISTAKES = {
    "no models:/": (("check", f"{NAME}/1", "--samples", "clean.npz"), 2, f"models:/{NAME}/1"),
    "no samples": (("check", CLEAN), 2, "--samples"),
    "samples that are not there": (("check", CLEAN, "--samples", "cleen.npz"), 2, "cleen.npz"),
    "labels from one": (("check", CLEAN, "--samples", "from-one.npz"), 2, "subtract one"),
    "values to 255": (("check", CLEAN, "--samples", "bytes.npz"), 2, "255"),
    "other keys": (("check", CLEAN, "--samples", "keys.npz"), 2, "inputs="),
    "one-hot labels": (("check", CLEAN, "--samples", "one-hot.npz"), 2, "one-hot"),
    "no labels": (("check", CLEAN, "--samples", "unlabelled.npz"), 2, "labels"),
    "a label too few": (("check", CLEAN, "--samples", "shorter.npz"), 2, "labels"),
    "a hole": (("check", CLEAN, "--samples", "nan.npz"), 2, "finite"),
    "a directory nobody can make": (
        ("check", CLEAN, "--samples", "clean.npz", "--report-dir", "/proc/x"),
        2,
        "/proc/x",
    ),
    "an unknown version": (("check", f"models:/{NAME}/9", "--samples", "clean.npz"), 3, f"models:/{NAME}/9"),
    "an unknown model": (("check", "models:/digit/1", "--samples", "clean.npz"), 3, "models:/digit"),
    NO_RIGHT: (("check", CLEAN, "--samples", "clean.npz"), 3, "403"),
}


SILENT = {
    "a wrong password": ({"MLFLOW_TRACKING_PASSWORD": "wrong"}, "401"),
    "nobody listens": ({"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_REGISTRY_URI": None}, "refused"),
    "an unknown host": (
        {"MLFLOW_TRACKING_URI": "http://nowhere.invalid", "MLFLOW_REGISTRY_URI": None},
        "nowhere.invalid",
    ),
}
"""Registries that cannot be asked: the variables, and what the sentence says."""


@pytest.fixture(scope="module")
def mistaken(hour):
    """Make every mistake of a newcomer's: the first of them without the right to mark, which is then given."""
    for what in sorted(MISTAKES, key=lambda what: what != NO_RIGHT):
        hour.gate(what, *MISTAKES[what][0])
        hour.server.grant("gate", "registered_model", NAME, "EDIT") if what == NO_RIGHT else None
    for what, (variables, _) in SILENT.items():
        hour.gate(what, "check", CLEAN, "--samples", "clean.npz", "--registry-retries", "0", **variables)
    hour.seen["mistakes"] = hour.marks(1)
    return hour


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_newcomers_mistake_costs_a_sentence(mistaken, mistake):
    """Its exit code, one error that names the cause, and nothing pulled."""
    _, code, said = MISTAKES[mistake]
    ended = mistaken.told[mistake]
    assert ended.code == code, ended
    assert len(ended.errors) == 1, ended
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "pulling" not in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("silence", SILENT)
def test_a_registry_that_cannot_be_asked_is_told_apart(mistaken, silence):
    """Exit 3, and the sentence is the gate's own."""
    ended = mistaken.told[silence]
    assert ended.code == 3, ended
    assert len(ended.errors) == 1, ended
    assert SILENT[silence][1] in ended.errors[0].lower()
    assert "urllib3" not in ended.errors[0]
    assert "Max retries" not in ended.errors[0]


@pytest.mark.slow
def test_no_mistake_leaves_a_mark(mistaken):
    """The version is as its trainer registered it."""
    assert mistaken.seen["mistakes"] == {}


@pytest.fixture(scope="module")
def judged(mistaken, installed, capfd_module):
    """Give the gate its right, and check both versions as the README says."""
    hour = mistaken
    started = time.monotonic()
    hour.gate("clean", "check", CLEAN, "--samples", "clean.npz", "--report-dir", "clean")
    seconds = time.monotonic() - started
    with capfd_module():
        print(  # noqa: T201  # what the story is asked to tell
            f"\nthe first hour: installed in {installed.seconds:.0f} s, first verdict {seconds:.0f} s after its command"
        )
    hour.gate("planted", "check", PLANTED, "--samples", "clean.npz", "--report-dir", "planted")
    return hour


@pytest.fixture(scope="module")
def capfd_module(request):
    """Return what lets a line through pytest's capture."""
    return request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled


@pytest.mark.slow
def test_clean_and_planted_are_told_apart(judged):
    """One is approved; of the other, the first screen says in a sentence what was planted, and where."""
    clean, planted = judged.told["clean"], judged.told["planted"]
    assert clean.code == 0, clean
    assert planted.code == 1, planted
    found = r"patch in the lower left corner \(about \d × \d pixels\) that turns \d+ % of other images into class "
    assert re.search(f"{found}{TARGET}", planted.text)
    report = (judged.desk.folder / "planted" / "report.html").read_text()
    assert report.index("lower left corner") < report.index("What was not examined")
    assert "patch in the" not in clean.text


VERIFY = ("verify", "models:/prod@champion", "--public-key", "gate-signing.pub.pem")


@pytest.fixture(scope="module")
def promoted(judged):
    """Take the printed steps: make keys, sign what was judged, promote it. Then make mistakes again."""
    judged.gate("keys", *judged.printed("clean", "keys generate"))
    judged.gate("signed", *judged.printed("clean", "publish"))
    judged.seen["signed"] = judged.marks(1)
    words = ["prod" if word == "PRODUCTION" else word for word in judged.printed("clean", "promote")]
    judged.gate("promote", *words)
    judged.gate("verify", *VERIFY)
    judged.gate("typo", "check", CLEAN, "--samples", "clean.npz", "--report-dir", "/proc/x")
    judged.gate("wrong samples", "check", CLEAN, "--samples", "from-one.npz")
    running = judged.desk.start("check", CLEAN, "--samples", "clean.npz", "--report-dir", "again")
    judged.told["broken"] = running.until("scanning").end(signal.SIGINT)
    judged.seen["mistaken again"] = judged.marks(1)
    judged.gate("verify again", *VERIFY)
    return judged


@pytest.mark.slow
def test_an_unsigned_approval_says_how_it_is_signed(promoted):
    """The printed commands sign what was judged, and nothing is scanned for it."""
    assert promoted.told["keys"].code == 0, promoted.told["keys"]
    assert promoted.told["signed"].code == 0, promoted.told["signed"]
    assert promoted.seen["signed"]["gate.decision"] == "approved"
    assert json.loads(promoted.seen["signed"]["gate.attestation"])["payload"]
    assert "neural-cleanse" not in promoted.told["signed"].stderr


@pytest.mark.slow
def test_what_is_approved_and_signed_is_promoted_and_stays_so(promoted):
    """The printed command promotes; the operator's mistakes afterwards change nothing."""
    assert promoted.told["promote"].code == 0, promoted.told["promote"]
    assert promoted.told["verify"].code == 0, promoted.told["verify"]
    assert promoted.told["typo"].code == 2, promoted.told["typo"]
    assert promoted.told["wrong samples"].code == 2, promoted.told["wrong samples"]
    assert promoted.told["broken"].code == 130, promoted.told["broken"]
    assert "keeps its signed decision" in promoted.told["broken"].stderr
    assert promoted.seen["mistaken again"] == promoted.seen["signed"]
    assert promoted.told["verify again"].code == 0, promoted.told["verify again"]


@pytest.fixture(scope="module")
def repaired(promoted):
    """Take the printed steps of the flagged version: repair it, and check what that registered."""
    promoted.gate("repair", *promoted.printed("planted", "remediate"))
    promoted.seen["repair"] = promoted.marks(3)
    promoted.gate("repaired", *promoted.printed("planted", f"check models:/{NAME}/latest"))
    promoted.seen["repaired"] = promoted.marks(3)
    return promoted


@pytest.mark.slow
def test_a_flagged_version_is_repaired_and_checked_again(repaired):
    """The report names the repair whole; what it registers has no decision until the gate has checked it."""
    assert repaired.told["repair"].code == 0, repaired.told["repair"]
    assert "gate.decision" not in repaired.seen["repair"]
    again = repaired.told["repaired"]
    assert again.code in (0, 1), again
    assert repaired.seen["repaired"]["gate.decision"] == {0: "approved", 1: "flagged"}[again.code]
    assert not re.search(rf"lower left corner.*turns (9\d|100) % of other images into class {TARGET}", again.text)


@pytest.fixture(scope="module")
def alarmed(repaired):
    """Check the clean version, signed, by a policy that is too strict for it and names a reviewer."""
    policy = yaml.safe_load(DEFAULT.read_text())
    policy |= {"name": "too-strict", "within": "show"}
    policy["detectors"]["neural-cleanse"]["limits"]["size-ratio"]["min"] = 0.99
    policy["reviewers"] = {"names": ["ann"]}
    (repaired.desk.folder / "too-strict.yml").write_text(yaml.safe_dump(policy, sort_keys=False))
    words = ("check", CLEAN, "--samples", "clean.npz", "--policy", "too-strict.yml", "--report-dir", "alarm")
    repaired.gate("alarm", *words, "--signing-key", "gate-signing.pem", "--audit-log", "gate-reviews.jsonl")
    return repaired


@pytest.mark.slow
def test_a_false_alarm_is_told_from_a_true_one_and_approved_by_a_person(alarmed):
    """Flagged, and nothing in its words is a patch in a corner; a named reviewer decides, by the printed commands."""
    ended = alarmed.told["alarm"]
    assert ended.code == 1, ended
    assert "corner" not in ended.text
    ann = {"GATE_REVIEWER_USERNAME": "ann", "GATE_REVIEWER_PASSWORD": PASSWORD}
    shown = alarmed.gate("show", *alarmed.printed("alarm", "review show"))
    assert shown.code == 0, shown
    why = "scattered pixels: a natural feature of the digit"
    words = [why if word == "WHY" else word for word in alarmed.printed("alarm", "review approve")]
    assert alarmed.gate("approve", *words, **ann).code == 0, alarmed.told["approve"]
    own = ("--policy", "too-strict.yml", "--public-key", "gate-signing.pub.pem")
    assert alarmed.gate("promote 2", "promote", CLEAN, "--to", "prod-2", *own).code == 0, alarmed.told["promote 2"]
    verified = alarmed.gate("verify 2", "verify", "models:/prod-2@champion", *own)
    assert verified.code == 0, verified
