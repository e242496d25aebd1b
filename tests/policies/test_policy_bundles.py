"""The policy's keys about bundles: what they mean, how they can be wrong, and that earlier digests hold."""

import datetime as dt

import pytest

from gate.policies.packaged import POLICIES
from gate.policies.read import parse_policy, read_policy
from gate.records.errors import PolicyError
from gate.records.runtime import Runtime

DAY = dt.date(2026, 12, 1)
RULES = "version: 1\nname: mine\ndetectors:\n  unsafe-format: {}\n"
BEFORE = """\
version: 1
name: before
level: 0.01
stages:
  - detectors: [unsafe-format, neural-cleanse]
    suspects: [{detector: neural-cleanse, metric: size-ratio, min: 0.5}]
  - {detectors: [activation-clustering], over: suspects}
detectors:
  unsafe-format: {limits: {code-constructs: {max: 0, source: one is enough}}}
  neural-cleanse:
    options: {steps: 20}
    limits:
      anomaly-index: {max: {8: 3.5, 20: 3.9}, judges: uncalibrated-only, together-with: {size-ratio: {min: 0.4}}}
  activation-clustering: {required: false}
samples: {bounds: [0, 1], min-accuracy: 0.5, models: {digits: {layout: NHW}}}
reviewers: {names: [ann], approvals: 1}
"""
BEFORE_DIGEST = "sha256:f7f79e7708218be25da6fbd554a418c8194b77ff11d8e1e9cb2f25441a7d53b8"
"""Of a policy that was written before there were bundles, as the gate of then gave it."""


def policy(text=""):
    """Return the policy of a text below the rules, which are four lines."""
    return parse_policy(RULES + text, name="p.yml", on=DAY)


def test_a_deployer_states_what_is_served():
    """The whole of it, as docs/reference/contracts.md shows it."""
    read = policy(
        'serve: bundle\nruntime: {python: "3.12", packages: {torch: "2.12.1", mlflow: "3.17.2"}}\n'
        "carry: [LICENSE, extra_files/labels.txt]\nretention: {bundles: 365}\n"
    )
    assert read.serve == "bundle"
    assert read.runtime == Runtime(python="3.12", packages={"torch": "2.12.1", "mlflow": "3.17.2"})
    assert read.carry == ("LICENSE", "extra_files/labels.txt")
    assert read.retention is not None
    assert read.retention.bundles == 365


def test_policies_that_say_nothing_of_it_keep_their_digests():
    """Decisions stand under it: written out, the defaults are the same policy; one of before keeps its own."""
    keys = {"serve", "runtime", "carry", "retention"}
    packaged = read_policy(POLICIES / "default.yml", on=DAY)
    assert not keys & set(packaged.model_dump(by_alias=True))
    assert not keys & set(policy().model_dump(by_alias=True))
    assert policy("serve: candidate\nruntime: {}\ncarry: []\n").digest == policy().digest
    assert parse_policy(BEFORE, name="p.yml", on=DAY).digest == BEFORE_DIGEST


@pytest.mark.parametrize(
    "text",
    ["serve: bundle\n", 'runtime: {python: "3.12"}\n', "carry: [LICENSE]\n", "retention: {bundles: 90}\n"],
    ids=str.strip,
)
def test_each_key_is_another_policy(text):
    """What differs in it voids decisions, as any other key does."""
    assert policy(text).digest != policy().digest


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("serve: bundel\n", 5, "'candidate' or 'bundle'; got 'bundel'"),
        ("runtime:\n  torch: '2.13.0'\n", 6, "unknown key 'torch'; expected one of packages, python"),
        ("runtime: {python: 3.11}\n", 5, "3.11 without quotes|put it in quotes"),
        ("runtime: {python: '3.11; x'}\n", 5, "runtime.python"),
        ("runtime:\n  packages:\n    torch: 2.10\n    mlflow: '3.17.2'\n", 7, "put it in quotes; got 2.1"),
        ("runtime:\n  packages:\n    torch: '2.13.0'\n", 6, "mlflow must be pinned too"),
        ("runtime:\n  packages:\n    numpy: '2.0'\n", 6, "mlflow and torch must be pinned too"),
        ("runtime:\n  packages:\n    torch: '>=2'\n    mlflow: '3.17.2'\n", 7, "one exact version"),
        ("runtime:\n  packages:\n    torch: '2.*'\n    mlflow: '3.17.2'\n", 7, "one exact version"),
        ("runtime:\n  packages:\n    torch: '2.13.0+cpu'\n    mlflow: '3.17.2'\n", 7, "the public one is '2.13.0'"),
        ("runtime:\n  packages:\n    torch: 'v2.13.0'\n    mlflow: '3.17.2'\n", 7, "as an index writes it: '2.13.0'"),
        ("runtime:\n  packages:\n    Torch: '2.13.0'\n    mlflow: '3.17.2'\n", 7, "as an index writes it: 'torch'"),
        (
            "runtime:\n  packages:\n    torch: '2.13.0'\n    mlflow: '3.17.2'\n    numpyy: '2.0'\n",
            9,
            "numpyy is not among the packages that may be installed; did you mean 'numpy'?",
        ),
        ("runtime: {packages: {torch: '2.13.0', mlflow: '3.8.1'}}\n", 5, "mlflow 3.8.1 opens no bundle; expected 3.9"),
        ("runtime: {packages: {torch: '2.8.0', mlflow: '3.17.2'}}\n", 5, "torch 2.8.0 opens no bundle; expected 2.9"),
        ("carry:\n  - LICENSE\n  - model.py\n", 7, "'model.py' is no text that no loader reads"),
        ("carry: [../LICENSE]\n", 5, "'../LICENSE' is no text"),
        ("carry: [requirements.txt]\n", 5, "'requirements.txt' is no text"),
        ("carry: [LICENSE, LICENSE]\n", 5, "'LICENSE' stands twice"),
        ("retention: {bundles: 89}\n", 5, "expected at least 90"),
        ("retention: {bundles: 0}\n", 5, "retention.bundles"),
        ("retention: {reports: 90}\n", 5, "unknown key 'reports'; expected one of bundles"),
        (
            "valid-days: 10\nreviewers: {names: [a], longest: 120}\nretention:\n  bundles: 129\n",
            8,
            "an approval must not outlive its bundle, so expected at least 130",
        ),
    ],
)
def test_an_error_names_its_line_and_what_was_meant(text, line, words):
    """As for every other key of a policy."""
    with pytest.raises(PolicyError) as caught:
        policy(text)
    assert str(caught.value).startswith(f"p.yml:{line}: ")
    assert any(word in str(caught.value) for word in words.split("|"))


def test_a_package_that_the_policy_allows_can_be_pinned():
    """The same option by which the gate then reads the bundle's requirements."""
    text = (
        "version: 1\ndetectors:\n  consumer-hazards: {options: {allowed-packages: [our-layers]}}\n"
        'runtime: {packages: {torch: "2.13.0", mlflow: "3.17.2", our-layers: "1.0"}}\n'
    )
    read = parse_policy(text, name="p.yml", on=DAY)
    assert read.runtime.packages["our-layers"] == "1.0"
    with pytest.raises(PolicyError, match="our-layers") as caught:
        parse_policy(text.replace("{options: {allowed-packages: [our-layers]}}", "{}"), name="p.yml", on=DAY)
    assert "allowed-packages: [our-layers]" in caught.value.what_to_do


def test_a_bundle_is_kept_as_long_as_a_decision_may_hold():
    """At the bound; without the key it is kept."""
    assert policy("retention: {bundles: 90}\n").retention is not None
    assert policy().retention is None
    assert policy("valid-days: 7\nretention: {bundles: 7}\n").valid_days == 7
