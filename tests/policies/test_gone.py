"""What is gone is answered by what to use in its place, in a policy with its line, and by `gate explain`."""

import datetime as dt
from pathlib import Path

import pytest
from click.testing import CliRunner

from gate import detectors
from gate.cli.main import main
from gate.policies.gone import GONE, SINCE, gone, gone_of_any_kind
from gate.policies.packaged import NAMES, policy_at
from gate.policies.read import parse_policy
from gate.records.errors import PolicyError, UsageError
from gate.remediation.plan import plan_of
from gate.worker.repair import ORDER

DAY = dt.date(2026, 12, 1)
EVERY = [(kind, name) for kind, names in GONE.items() for name in names]


def said_of(text):
    """Return the error with which a policy's text is refused."""
    with pytest.raises(PolicyError) as caught:
        parse_policy(text, name="p.yml", on=DAY)
    return str(caught.value)


@pytest.mark.parametrize("name", GONE["detector"])
def test_a_detector_that_is_gone_is_an_error_at_its_line(name):
    """Whoever copied an earlier policy learns on which line, since when, and what to use."""
    text = f"version: 1\ndetectors:\n  neural-cleanse: {{}}\n  {name}: {{}}\n"
    assert said_of(text) == f"p.yml:4: the detector '{name}' is gone since {SINCE}: {GONE['detector'][name]}"


@pytest.mark.parametrize("name", GONE["option"])
def test_an_option_that_is_gone_is_an_error_at_its_line(name):
    """Likewise, of a detector that is still there."""
    detector, option = name.split("/")
    assert detector in detectors.names()
    text = f"version: 1\ndetectors:\n  {detector}:\n    options:\n      {option}: 1\n"
    assert said_of(text) == f"p.yml:5: the option '{name}' is gone since {SINCE}: {GONE['option'][name]}"


@pytest.mark.parametrize("name", GONE["policy"])
def test_a_policy_that_is_gone_is_an_error(name, tmp_path, monkeypatch):
    """At --policy, before anything is opened."""
    monkeypatch.chdir(tmp_path)
    ended = CliRunner().invoke(main, ["judge", ".", "--policy", name])
    assert str(ended.exception) == f"the policy '{name}' is gone since {SINCE}: {GONE['policy'][name]}"


@pytest.mark.parametrize("name", GONE["method"])
def test_a_method_that_is_gone_is_an_error(name):
    """At --method, with what is left."""
    with pytest.raises(UsageError) as caught:
        plan_of(name, {})
    assert str(caught.value).startswith(f"the method '{name}' is gone since {SINCE}: {GONE['method'][name]}; expected")


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_gate_explain_says_it_too(kind, name):
    """One sentence, and no error: the name is known to have been one."""
    ended = CliRunner().invoke(main, ["explain", name])
    assert ended.exit_code == 0, ended.output
    assert " ".join(ended.output.split()) == f"{name}: {gone(kind, name)}."


def test_nothing_that_is_there_is_called_gone():
    """Neither policies nor methods; of another name nothing is said."""
    assert not any(gone_of_any_kind(name) for name in (*NAMES, *ORDER, "neural-cleanse", ""))
    assert policy_at("default").is_file()
    assert policy_at("./strict") == Path("./strict")
