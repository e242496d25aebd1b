"""`gate remediate` on the command line: what it teaches, and what it refuses before anything is pulled."""

import sys

import pytest

from gate.cli.main import run
from gate.records.errors import UsageError
from gate.remediation.plan import fitting, parse_settings, plan_of, seeds_of
from gate.worker import repair as remediation

METHOD = remediation.ORDER[0]


@pytest.fixture
def gate(monkeypatch, capsys):
    """Return the function that runs `gate` in this process and gives its exit code and both streams."""
    monkeypatch.setattr("gate.jail.launch.protect_parent", lambda: None)
    monkeypatch.setattr("gate.cli.main.stop_on_termination", lambda: None)

    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["gate", *map(str, arguments)])
        code = run()
        captured = capsys.readouterr()
        return code, captured.out, " ".join(captured.err.split())

    return command


def test_help_teaches_what_it_does_and_does_not(gate):
    """Examples, the meaning of holding, that nothing is approved, and the exit codes."""
    code, out, _ = gate("remediate", "--help")
    text = " ".join(out.split())
    assert code == 0
    for words in (
        "gate remediate models:/cand/8",
        "Nothing here approves",
        "divided by the attempts",
        "Exit 1: none holds",
        *remediation.ORDER,
    ):
        assert words in text
    assert "remediate" in gate("--help")[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--method", "prayer"], "unknown method 'prayer'; expected auto or one of"),
        (["--method", "neuron-pruning"], "'neuron-pruning' is gone since 0.1.0: it reached"),
        (["--set", "no-dot=1"], "expected METHOD.OPTION=VALUE"),
        (["--set", "prayer.length=1"], "which is not tried"),
        (["--set", f"{METHOD}.prayers=1"], f"the option 'prayers' of {METHOD}"),
        (["--no-register", "--check"], "--check needs a new version"),
        (["--samples", "nowhere.npz"], "there are no samples at nowhere.npz"),
        ([], "a folder on disk, where no version can be registered"),
        (["--max-loss", "2"], "2"),
    ],
)
def test_a_wrong_option_is_a_usage_error(gate, tmp_path, arguments, words):
    """Exit 2, with what was expected, before anything is pulled."""
    code, out, err = gate("remediate", tmp_path, "--report-dir", tmp_path / "out", *arguments)
    assert code == 2, (out, err)
    assert words in err
    assert not (tmp_path / "out").exists()


def test_the_plan_has_every_option_and_other_seeds_than_the_policy():
    """Defaults stand in the plan, so that a report says them; seeds follow the policy's own and wrap around."""
    plan = plan_of("auto", {})
    assert [one.method for one in plan] == list(remediation.ORDER)
    assert all(
        one.options == remediation.load(one.method).options().model_dump(mode="json", by_alias=True) for one in plan
    )
    assert seeds_of(7, 3) == (8, 9, 10)
    assert seeds_of(2**32 - 1, 2) == (0, 1)
    assert len(plan_of(METHOD, {})) == 1


def test_only_methods_for_the_models_kind_of_input_are_attempts():
    """Others are none that make the judgement stricter; one that was named and is for another kind is refused."""
    plan = plan_of("auto", {})
    assert [one.method for one in fitting(plan, "tokens")] == ["word-unlearning"]
    assert [one.method for one in fitting(plan, "images")] == ["trigger-unlearning", "sharpness-aware-tuning"]
    with pytest.raises(UsageError, match="sharpness-aware-tuning is not for tokens") as refused:
        fitting(plan_of("sharpness-aware-tuning", {}), "tokens")
    assert refused.value.what_to_do == "Leave --method out, or name one that is: word-unlearning."


def test_values_are_read_as_yaml():
    """Numbers, booleans and words need no quotes; what is no YAML is refused."""
    assert parse_settings(["a.x=0.5", "a.y=true", "b.z=word"]) == {"a": {"x": 0.5, "y": True}, "b": {"z": "word"}}
    with pytest.raises(UsageError, match="cannot be read"):
        parse_settings(["a.x={"])
