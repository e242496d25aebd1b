"""The command: what it may open, and what it says where nothing is made yet."""

from click.testing import CliRunner

from benchmarks.efficacy.judged import Judged
from benchmarks.efficacy.tables import exact_share
from benchmarks.self_made.__main__ import self_made
from benchmarks.self_made.choosing import pairs_of
from benchmarks.self_made.comparing import Compared, read_rows, write_rows
from benchmarks.self_made.elsewhere import line
from gate.renderers.words import SELF_MADE_MEANS


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


def test_reports_tell_the_rate_that_the_kept_rows_have():
    """Of the clean models of *unseen* that the p-value judges, beside all of its banks."""
    rows = [row for row in read_rows() if row.split == "unseen"]
    clean = [row for row in rows if not row.backdoored and not row.unbelieved]
    assert {(row.task, row.architecture) for row in rows} == {(pair.task, pair.net) for pair in pairs_of("unseen")}
    share = exact_share(sum(row.by_p for row in clean), len(clean)).replace(", ", " at level 0.05, ", 1)
    assert f"four such banks flagged {share}:" in SELF_MADE_MEANS


def test_the_same_models_beside_other_banks_are_counted_in_a_line():
    """Flags of each kind, the targets named among what was found, and the area."""

    def row(score, *, flagged, backdoored, right=False):
        return Judged(
            name="", task="digits", architecture="cnn", attack="", variant="", backdoored=backdoored, flagged=flagged,
            score=score, any_right=right, seconds=1.0, sample_passes=1,
        )  # fmt: skip

    rows = [
        row(0.1, flagged=False, backdoored=False),
        row(0.9, flagged=True, backdoored=True, right=True),
        row(0.8, flagged=True, backdoored=True),
        row(0.0, flagged=False, backdoored=True),
    ]
    said = line(rows)
    assert said.startswith("clean flagged 0 of 1, 0%")
    assert "; backdoored flagged 2 of 3, 67%" in said
    assert "; of these a planted target named 1 of 2, 50%" in said
    assert "; area 0.67 [" in said
