"""The command: what it may open, and what it says where nothing is made yet."""

from click.testing import CliRunner

from benchmarks.self_made.__main__ import self_made
from benchmarks.self_made.comparing import Compared, write_rows


def test_the_splits_that_made_the_banks_are_no_choice():
    """Only the split of development, and the one that is reported."""
    for command in ("make", "compare", "table"):
        assert CliRunner().invoke(self_made, [command, "--split", "calibrate"]).exit_code == 2


def test_missing_banks_are_said(tmp_path):
    """Exit 1, with the command that makes them; rows that are there stay."""
    path = tmp_path / "rows.jsonl"
    row = Compared(
        split="unseen", name="unseen-001", task="digits", architecture="inception", attack="clean", variant="",
        backdoored=False, key="k", same_form=True, source=True, copies=20, score=1.0, p_value=0.5, level=0.05,
        flagged=False,
    )  # fmt: skip
    write_rows("unseen", [row], path)
    write_rows("fit", [row.model_copy(update={"split": "fit", "name": "fit-001"})], path)
    before = path.read_bytes()
    told = CliRunner().invoke(self_made, ["compare", "--cache", str(tmp_path / "zoo"), "--rows", str(path)])
    assert told.exit_code == 1
    assert told.output.count("no bank of today's program, data and options; run: make --split fit") == 4
    assert path.read_bytes() == before
    shown = CliRunner().invoke(self_made, ["table", "--split", "unseen", "--rows", str(path)])
    assert "| digits inception | 20 | 0 of 1, 0% [0%, 98%] |" in shown.output


def test_a_program_that_is_not_made_ends_the_command(tmp_path):
    """Before anything is trained."""
    told = CliRunner().invoke(self_made, ["make", "--cache", str(tmp_path)])
    assert "is not made yet" in str(told.exception)
