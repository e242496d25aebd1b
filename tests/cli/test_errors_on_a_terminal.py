"""Errors and lines of progress where a person reads them, and where a log keeps them."""

import sys

from gate.cli.terminal import fail, tell

LONG = "unknown name 'siz': no detector, metric or condition is called so; did you mean 'size' or 'exit-size'?"
ADVICE = (
    "`gate explain` alone lists every name, and /a/very/long/path/that/is/longer/than/a/line/of/the/terminal stays."
)


def test_an_error_is_broken_between_words_alone(capsys, monkeypatch):
    """What can fit fits, and a path that cannot stays whole."""
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    fail(LONG, ADVICE)
    tell(LONG)
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if len(line) > 60 and len(line.split()) > 1] == []
    assert " ".join(" ".join(lines).split()) == f"gate: error: {LONG} {ADVICE} gate: {LONG}"


def test_a_log_gets_each_error_on_one_line(capsys):
    """So that it can be searched for."""
    fail(LONG, ADVICE)
    assert capsys.readouterr().err.splitlines() == [f"gate: error: {LONG}", f"      {ADVICE}"]
