"""Which kinds of samples a policy asks for, by its detectors."""

import pytest

from gate import detectors
from gate.detectors.contract import Detector, Need
from gate.policies.packaged import DEFAULT, FILES_ONLY, TEXT
from gate.policies.read import read_policy
from gate.policies.spaces import spaces_of
from gate.records.clock import today
from gate.records.declarations import Options
from gate.records.policy import Policy, Rule
from gate.spaces.contract import EVERY, IMAGES, TOKENS


@pytest.fixture(autouse=True)
def declared(monkeypatch):
    """Let names stand for detectors with samples of their spaces."""
    known = {"of-images": IMAGES, "of-tokens": TOKENS, "of-both": EVERY}
    real = detectors.load

    def load(name):
        if name not in known:
            return real(name)
        how = {"doing": "", "metrics": (), "options": Options, "measure": lambda *_: iter(())}
        return Detector(id=name, title="", needs=Need.MODEL | Need.SAMPLES, spaces=known[name], **how)

    monkeypatch.setattr(detectors, "load", load)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["of-images"], IMAGES),
        (["of-tokens", "of-both"], TOKENS),
        (["of-both"], EVERY),
        (["of-images", "of-tokens"], EVERY),
        (["of-tokens", "unsafe-pickle", "head-indicators"], TOKENS),
        (["unsafe-pickle"], EVERY),
    ],
)
def test_what_all_detectors_share_is_what_samples_are_read_as(names, expected):
    """Detectors on bytes or weights say nothing of it; detectors that share nothing leave it to the file."""
    assert spaces_of(Policy(version=1, detectors={name: Rule() for name in names})) == expected


def test_each_packaged_policy_is_for_its_kind():
    """The packaged policies."""
    assert spaces_of(read_policy(DEFAULT, on=today())) == IMAGES
    assert spaces_of(read_policy(FILES_ONLY, on=today())) == EVERY
    assert spaces_of(read_policy(TEXT, on=today())) == TOKENS
