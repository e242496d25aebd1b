"""The printed result at every width: whole words and digests, commands to copy, nothing a runner obeys."""

import re
import shlex

import pytest
import reports
from test_next_steps import CASES, GIVEN, VERSION, made, suspect

from gate.cli import result, wrapping
from gate.cli.terminal import show_result
from gate.records.report import Report
from gate.renderers.next_steps import next_steps

REPORTS = {**CASES, **{name: getattr(reports, name) for name in ("approved", "flagged", "bundle_alone", "converted")}}
WIDTHS = (40, 80, 100, 120)
HOSTILE = pytest.mark.parametrize("text", reports.HOSTILE, ids=range(len(reports.HOSTILE)))


def printed(report: Report, columns: int) -> list[str]:
    """Return the lines of a result."""
    return [*result.heading(report, columns), *result.lines(report, None, "", columns)]


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("name", REPORTS)
def test_a_line_breaks_between_words_alone(name: str, columns: int) -> None:
    """Only what is one word, or a command's option and its value, may be longer than a line."""
    heading, *rest = printed(REPORTS[name](), columns)
    assert len(heading) <= 80
    for line in rest:
        body = line.strip().removesuffix(" \\")
        whole = len(body.split()) <= 2 or body.startswith(("gate ", "--"))
        assert len(line) <= columns or whole, line
    every = set(" ".join(printed(REPORTS[name](), 4000)).split())
    assert {word for line in printed(REPORTS[name](), columns) for word in line.split()} - {"\\"} <= every


@pytest.mark.parametrize("columns", WIDTHS)
def test_a_digest_stands_whole(columns: int) -> None:
    """Model, bundle and policy can be copied from a narrow terminal too."""
    report = suspect()
    assert report.verdict
    lines = printed(report, columns)
    for digest in (report.verdict.model_digest, report.verdict.bundle_digest, report.verdict.policy_digest):
        assert sum(line.endswith(str(digest)) for line in lines) == 1


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("name", REPORTS)
def test_a_command_can_be_copied(name: str, columns: int) -> None:
    """Broken before an option by a backslash, it is to a shell what the report says."""
    report = REPORTS[name]()
    text = "\n".join(printed(report, columns))
    found = re.findall(r"^ +(gate (?:.*\\\n)*.*)$", text, re.MULTILINE)
    # To a shell a backslash at the end of a line is nothing; to `shlex` it is a newline.
    joined = [one.replace("\\\n", " ") for one in found]
    assert [shlex.split(one) for one in joined] == [shlex.split(s.command) for s in next_steps(report) if s.command]


@pytest.mark.parametrize(("columns", "expected"), [("20", 40), ("80", 80), ("132", 120), ("", 80), ("odd", 80)])
def test_the_width_is_the_terminals_within_bounds(columns: str, expected: int, monkeypatch) -> None:
    """No least width of a hundred: what the terminal says holds, and a log without one has eighty."""
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr("os.get_terminal_size", lambda _number: (_ for _ in ()).throw(OSError))
    assert wrapping.columns(most=120) == expected


def test_suspects_of_an_approved_model_are_not_left_to_be_guessed_at() -> None:
    """Numbers of a class below an approval say that they are within the limits; below a flag the reasons stand."""
    report = reports.approved()
    assert report.evidence
    seen = {**report.evidence.outcomes, "confirmation": reports.confirmed()}
    looked = report.model_copy(update={"evidence": report.evidence.model_copy(update={"outcomes": seen})})
    said = "Looked at more closely, and within the limits:"
    lines = printed(looked, 80)
    assert lines[lines.index(said) + 1].startswith("- class ")
    assert said not in printed(report, 80)
    assert said not in printed(suspect(), 80)


@HOSTILE
@pytest.mark.parametrize("columns", [40, 80])
def test_no_line_is_what_a_runner_obeys(text: str, columns: int) -> None:
    """Wherever a candidate's words come to stand, no line begins with a command and none holds a control."""
    named = made(reports.hostile(text), given=GIVEN.model_copy(update={"samples": text[:4000], "bank": text[:4000]}))
    for report in (reports.hostile(text), named):
        for line in printed(report, columns):
            assert not line.lstrip().startswith("::")
            assert "##[" not in line
            assert "##vso[" not in line
            assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\ufeff\n]", line)


def test_the_decision_is_the_first_word(capsys) -> None:
    """Scripts and people read it there; without a terminal it has no colour."""
    show_result(suspect(), None, "")
    assert capsys.readouterr().out.splitlines()[0] == f"FLAGGED  {VERSION}"
