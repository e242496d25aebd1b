"""The command makes what is out of date and nothing else, and says where page or figures are not of the kept rows."""

from functools import partial

import pytest
from click.testing import CliRunner

from benchmarks.anchors import gathering, kept, published, table
from benchmarks.anchors.__main__ import anchors
from benchmarks.anchors.figure import Figure, missing
from benchmarks.anchors.gathering import Group

PAGE = f"# Anchors\n<!-- {table.MARK} -->\n<!-- /{table.MARK} -->\nafter\n"


@pytest.fixture
def made_up(monkeypatch, tmp_path):
    """Put two groups, one of a file of rows and one of nothing, in the place of the gate's; return file and makings."""
    rows, makings = tmp_path / "rows.txt", []
    rows.write_text("7 of 9")
    monkeypatch.setattr(kept, "ROOT", tmp_path)
    monkeypatch.setattr(kept, "_git", lambda *asked: {"log": "2026-11-05", "rev-parse": "false"}.get(asked[0], ""))
    monkeypatch.setattr(kept, "read", partial(kept.read, tmp_path / "figures.jsonl"))
    monkeypatch.setattr(kept, "write", partial(kept.write, path=tmp_path / "figures.jsonl"))
    monkeypatch.setattr(table, "PAGE", tmp_path / "anchors.md")
    table.PAGE.write_text(PAGE)
    first = published.read()[0]
    ours = [first.model_copy(update={"key": key, "gate": key}) for key in ("seen", "gone")]
    monkeypatch.setattr(published, "read", lambda: ours)

    def seen():
        makings.append("seen")
        return {"seen": Figure(rows.read_text(), "rows", "make", (rows,))}

    group = Group(("seen",), lambda: kept.of_files([rows]), seen)
    nothing = Group(("gone",), dict, lambda: {"gone": missing("no rows", "none")})
    monkeypatch.setattr(gathering, "groups", lambda split: [group, nothing])
    return rows, makings


def run(*arguments):
    """Return exit code and output of the command."""
    done = CliRunner().invoke(anchors, arguments)
    return done.exit_code, done.output


def test_a_written_page_holds_until_its_rows_change(made_up):
    """Figures are made once; a row that changed, and a page that was edited, end the check with 1."""
    rows, makings = made_up
    code, said = run("--check")
    assert (code, "out of date" in said) == (1, True)
    assert run("--write")[0] == 0
    assert run("--check")[0] == 0
    assert run("--write")[0] == 0
    assert makings == ["seen"]
    page = table.PAGE.read_text()
    assert "7 of 9 | rows; `make`; 2026-11-05 |" in page
    assert "| **not measured** | no rows; none |" in page
    assert page.endswith("after\n")
    rows.write_text("8 of 9")
    code, said = run("--check")
    assert (code, "the rows of seen changed" in said) == (1, True)
    assert run("--write")[0] == 0
    table.PAGE.write_text(table.PAGE.read_text().replace("8 of 9", "9 of 9"))
    assert run("--check")[0] == 1
    assert run("--write", "--anew")[0] == 0
    assert makings == ["seen"] * 3
    assert "8 of 9" in table.PAGE.read_text()


def test_rows_that_are_gone_leave_no_figure_behind(made_up):
    """A file that is not there any more is a change like another."""
    rows, _ = made_up
    run("--write")
    rows.unlink()
    assert run("--check")[0] == 1


def test_a_run_that_ends_half_way_keeps_what_it_made_and_is_found_out(made_up, monkeypatch):
    """The page is written last; until then the check ends with 1."""
    _, makings = made_up

    def ends(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(table, "text", ends)
    run("--write")
    monkeypatch.undo()
    assert makings == ["seen"]


def test_the_split_is_the_pages_own_unless_told(made_up, monkeypatch):
    """What was written of one split is checked as that."""
    asked = []
    monkeypatch.setattr(
        gathering, "groups", lambda split, groups=gathering.groups: asked.append(split) or groups(split)
    )
    run("--write", "--split", "unseen")
    run("--check")
    assert asked == ["unseen", "unseen"]
    assert "Split `unseen` of the zoo; 2 published figures, 1 of them with nothing measured" in table.PAGE.read_text()


@pytest.mark.parametrize("arguments", [("--write", "--check"), ("--anew",), ("--split", "fit")])
def test_what_makes_no_sense_is_refused(made_up, arguments):
    """Nothing is made."""
    assert run(*arguments)[0] == 2
    assert made_up[1] == []


def test_a_day_is_gits_unless_the_file_is_changed_or_the_clone_is_shallow(made_up, monkeypatch):
    """A shallow clone names a wrong day, so it names none."""
    rows, _ = made_up
    assert kept.date_of(rows) == "2026-11-05"
    monkeypatch.setattr(kept, "_git", lambda *asked: "M rows" if asked[0] == "status" else "x")
    assert kept.date_of(rows) == kept.today().isoformat()
    monkeypatch.setattr(kept, "_git", lambda *asked: "true" if asked[0] == "rev-parse" else "")
    with pytest.raises(kept.UsageError, match="shallow"):
        kept.date_of(rows)
