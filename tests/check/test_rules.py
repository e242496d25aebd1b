"""By what a version is examined: the bank of an option wins over the policy's, which lies beside the policy."""

from pathlib import Path

from gate.check.rules import read_rules
from gate.policies.packaged import DEFAULT
from gate.records.artifact import file_sha256
from gate.records.bank import ModelStatistics, write_bank


def bank(path, name):
    """Write a bank that is told by its name, and return its path."""
    path.parent.mkdir(exist_ok=True)
    write_bank(path, name=name, statistics=(ModelStatistics(model="m"),))
    return path


def test_a_policys_bank_lies_beside_it_and_an_option_wins(tmp_path):
    """The override is known as one."""
    own = bank(tmp_path / "rules" / "own.json", "own")
    policy = tmp_path / "rules" / "p.yml"
    pinned = f"bank: {{path: own.json, sha256: {file_sha256(own)}}}\n"
    policy.write_text(f"version: 1\n{pinned}detectors: {{unsafe-pickle: {{}}}}\n")
    rules = read_rules(policy, "clean.npz")
    assert rules.bank is None
    found = rules.beside(None).bank
    assert (found.bank.name, found.source, found.by_option) == ("own", "own.json", False)
    found = rules.beside(bank(tmp_path / "other.json", "other")).bank
    assert (found.bank.name, found.by_option) == ("other", True)
    assert rules.pull_of("models:/m/1").samples == "clean.npz"


def test_rules_are_named_as_one_types_them():
    """A packaged policy by its bare name, wherever it lies."""
    assert (read_rules(DEFAULT).word, read_rules(DEFAULT).beside(None).bank) == ("default", None)
    assert read_rules(Path(DEFAULT)).source.path == ""
