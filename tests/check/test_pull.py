"""Samples that a registry brings and the gate cannot use: never waited for, and never a way out without a mark."""

import os

import pytest

from gate.check.check import CheckRequest, check
from gate.check.evidence import ScanSettings
from gate.check.rules import Rules
from gate.records.errors import CannotFinishError, UsageError
from gate.records.policy import Policy, Rule
from tests.stand_ins.one_version import OneVersion

RUN = "runs:/abc/samples"


class Holding(OneVersion):
    """A registry of an empty model, with samples as a test makes them."""

    def __init__(self, make):
        super().__init__()
        self.make = make

    def fetch(self, _uri, to):
        """Make the samples."""
        self.make(to / "samples")
        return to / "samples"


def with_link(path):
    """Make a folder of samples with a link in it."""
    path.mkdir()
    (path / "0").symlink_to("/etc")


def missing(_path):
    """Make nothing."""


UNUSABLE = {
    "a pipe": (os.mkfifo, "are no regular file"),
    "a link inside": (with_link, "which is no regular file"),
    "nothing": (missing, "there are no samples at"),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_samples_of_a_run_that_cannot_be_used_leave_the_version_flagged(tmp_path, kind):
    """Whoever may write to the run could else keep a version's earlier mark, or hold the gate for ever."""
    make, why = UNUSABLE[kind]
    registry = Holding(make)
    with pytest.raises(CannotFinishError, match=why):
        checked(registry, RUN, tmp_path)
    assert registry.tags["gate.decision"] == "flagged"


def test_a_wrong_path_of_the_operators_is_a_wrong_command(tmp_path):
    """Exit 2, and the version stays as it was."""
    registry = Holding(missing)
    with pytest.raises(UsageError, match="there are no samples at"):
        checked(registry, "/srv/none.npz", tmp_path)
    assert registry.tags == {}


def checked(registry, samples, tmp_path):
    """Check by a policy that pins samples."""
    policy = Policy(version=1, detectors={"unsafe-pickle": Rule()}, samples={"uri": samples})
    request = CheckRequest("models:/m/1", Rules(policy), ScanSettings(), tmp_path / "out")
    return check(registry, request, lambda *_: None, lambda _: None)
