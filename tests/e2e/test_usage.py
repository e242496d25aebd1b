"""Usage and policy errors: exit 2, one message that says where, before anything is pulled or written."""

import pytest
import yaml

from gate.policies.packaged import DEFAULT
from tests.e2e.command import Desk, SameProcess

TEXT = DEFAULT.read_text()
EXPIRED = {
    "detector": "neural-cleanse",
    "metric": "anomaly-index",
    "model-digest": f"sha256:{0:064x}",
    "reason": "accepted",
    "approved-by": "a reviewer",
    "expires": "2020-01-01",
}


@pytest.fixture
def desk(tmp_path):
    """Return a desk with the recommended policy and no registry."""
    return SameProcess(tmp_path, {})


def _refused(desk, *arguments, **variables):
    ended = desk.gate(*arguments, **variables)
    assert ended.code == 2, ended
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    assert not desk.out.exists()
    return ended


def _line_of(text, word):
    return next(number for number, line in enumerate(text.splitlines(), start=1) if word in line)


POLICIES = {
    "unknown detector": ("  model-inversion:", "  model-inversoin:", "did you mean 'model-inversion'"),
    "misspelt key": ("uncalibrated:", "uncalibarted:", "did you mean 'uncalibrated'"),
    "misspelt metric": ("      silhouette:", "      silhouete:", "did you mean 'silhouette'"),
}


@pytest.mark.parametrize(("right", "wrong", "said"), POLICIES.values(), ids=POLICIES)
def test_a_misspelt_policy_is_refused_with_its_line(right, wrong, said, desk, tmp_path):
    """The message names file, line and the likely intention."""
    text = TEXT.replace(right, wrong, 1)
    if wrong.startswith("  model"):
        text = text.replace("[model-inversion]", "[model-inversoin]")
    policy = tmp_path / "policy.yml"
    policy.write_text(text)
    ended = _refused(desk, "check", "models:/digits/1", "--policy", policy, "--tracking-uri", "http://127.0.0.1:9")
    assert len(ended.errors) == 1
    assert f"{policy}:{_line_of(text, wrong)}: " in ended.errors[0]
    assert said in ended.errors[0]


def test_an_expired_waiver_is_refused_with_its_line(desk, tmp_path):
    """The message names the waiver, its approver, its day and its line."""
    text = TEXT.replace("waivers: []", yaml.safe_dump({"waivers": [EXPIRED]}, sort_keys=False))
    policy = tmp_path / "policy.yml"
    policy.write_text(text)
    ended = _refused(desk, "check", "models:/digits/1", "--policy", policy)
    assert f"{policy}:{_line_of(text, 'expires')}: the waiver of neural-cleanse anomaly-index" in ended.errors[0]
    assert "expired on 2020-01-01" in ended.errors[0]


CASES = {
    "no registry known": (["check", "models:/digits/1"], "no registry is known"),
    "no such samples": (
        ["check", "models:/digits/1", "--samples", "nowhere.npz"],
        "there are no samples at nowhere.npz",
    ),
    "no such policy": (["check", "models:/digits/1", "--policy", "nowhere.yml"], "nowhere.yml cannot be read"),
    "no scheme": (["check", "fashion/1"], "there is no model folder at 'fashion/1'"),
    "an empty URI": (["check", ""], "the model's URI is empty"),
    "a review log in no folder": (
        ["check", "models:/digits/1", "--audit-log", "/nowhere/log.jsonl"],
        "the review log /nowhere/log.jsonl cannot be written",
    ),
    "a signing key that is none": (["check", "models:/digits/1", "--signing-key", "."], "the signing key"),
    "another scheme": (["check", "s3://bucket/model"], "is no model that the gate can pull"),
    "a stage": (["check", "models:/digits/Production", "--tracking-uri", "sqlite:///x.db"], "names no model version"),
    "a folder to be marked": (["check", ".", "--mark"], "is a folder on disk, where nothing can be marked"),
    "nothing to judge": (["judge", "nowhere/evidence.json"], "there is no file nowhere/evidence.json"),
    "no folder to judge": (["judge", "nowhere"], "there is no folder nowhere"),
    "no report to show": (["report", "github", "nowhere"], "there is no folder nowhere"),
    "nothing to scan": (["scan", "nowhere"], "manifest.json"),
    "unknown detector to explain": (["explain", "mind-reading"], "unknown name 'mind-reading'"),
}


@pytest.mark.parametrize(("arguments", "said"), CASES.values(), ids=CASES)
def test_a_wrong_command_is_refused(arguments, said, desk):
    """Exit 2 with one error line."""
    ended = _refused(desk, *arguments)
    assert len(ended.errors) == 1
    assert said in ended.errors[0]


def test_the_process_ends_with_the_same_code(tmp_path):
    """As a process of its own, with nothing of a test's around it."""
    ended = _refused(Desk(tmp_path, {}), "check", "fashion/1")
    assert len(ended.errors) == 1


def test_what_was_meant_is_named(desk):
    """The advice is the command's own argument, put right."""
    assert "Did you mean models:/fashion/1?" in _refused(desk, "check", "fashion/1").stderr


def test_the_report_directory_is_tried_before_the_registry_is_opened(desk, tmp_path):
    """A link that leads nowhere ends with 2, and no embedded store is made."""
    desk.out.symlink_to(tmp_path / "gone" / "too")
    ended = _refused(desk, "check", "models:/digits/1", "--tracking-uri", f"sqlite:///{tmp_path}/new.db")
    assert "cannot be written" in ended.errors[0]
    assert not (tmp_path / "new.db").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "models:/digits/1", "--polcy", "x"], "--polcy"),
        (["check"], "URI"),
        (["check", "models:/digits/1", "--device", "tpu"], "tpu"),
        (["chek"], "chek"),
    ],
    ids=["unknown option", "missing argument", "unknown choice", "unknown command"],
)
def test_an_unknown_option_is_refused(arguments, said, desk):
    """Exit 2 with the usage of the command and one line that names what was wrong."""
    ended = _refused(desk, *arguments)
    assert ended.stderr.startswith("Usage: ")
    assert said in ended.stderr.splitlines()[-1] or said in ended.stderr
