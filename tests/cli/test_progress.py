"""What a person sees while they wait: one true line on a terminal, one line a step in a log, and nothing breaks."""

import io
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from fcntl import ioctl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate import detectors
from gate.cli import progress
from gate.cli.progress import Step, Steps, clock, known_steps, line, progress_bars
from gate.jail.inert import inert_line
from gate.records.activity import doing, expect, watched_by
from tests.e2e.command import ROOT

PLAN = ("unsafe-pickle", "neural-cleanse", "confirmation")


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        """Return what it shows."""
        return self.now


def logged(capsys, monkeypatch, play):
    """Return the lines that a log has after `play(show, clock)`."""
    at = Clock()
    monkeypatch.setattr(progress, "Steps", lambda: Steps(clock=at))
    with progress_bars() as show:
        play(show, at)
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_every_step_has_plain_words_that_fit_in_a_line():
    """Every detector, and what workers say of their own; nothing else is a step."""
    assert set(detectors.names()) <= set(known_steps())
    assert set(known_steps()) - set(detectors.names()) == {
        "converting", "loading the model", "making the copies", "repairing", "writing the bundle"
    }  # fmt: skip
    assert all(len(words) <= 32 and words == words.strip() for words in known_steps().values())


def test_workers_name_no_step_that_has_no_words():
    """Whatever the gate's own workers call a step stands in the table."""
    said = {
        name
        for path in (ROOT / "gate" / "worker").rglob("*.py")
        for name in re.findall(r'say_progress\("([^"]+)"', path.read_text())
    }
    assert said
    assert said <= set(known_steps())


def test_a_log_has_one_line_a_step(capsys, monkeypatch):
    """With its place among the scan's steps, when it began, and how long it took."""

    def play(show, at):
        with doing("downloading models:/fashion/1") as moved:
            moved(4_200_000)
            at.now = 3.0
        expect(PLAN)
        for done in range(101):
            show("neural-cleanse", done, 100)
            at.now += 1
        show("confirmation", 0, 1)
        at.now += 0.5
        expect(())

    time_of_day = r"[0-2]\d:[0-5]\d:[0-5]\d"
    lines = logged(capsys, monkeypatch, play)
    patterns = (
        rf"gate: downloading models:/fashion/1: began {time_of_day}, done in 3\.0 s, 4\.2 MB",
        rf"gate: 2 of 3, neural-cleanse, small patches as triggers: began {time_of_day}, done in 101 s",
        rf"gate: 3 of 3, confirmation, suspects on held-out samples: began {time_of_day}, done in 0\.5 s",
    )
    assert len(lines) == len(patterns), lines
    for said, pattern in zip(lines, patterns, strict=True):
        assert re.fullmatch(pattern, said), said


def test_a_step_that_is_long_says_that_it_is_alive(capsys, monkeypatch):
    """A runner ends a job that is silent for ten minutes; a line comes well before."""

    def play(show, at):
        expect(PLAN)
        for done in range(1000):
            show("neural-cleanse", done, 1000)
            at.now += 1

    lines = logged(capsys, monkeypatch, play)
    assert len(lines) == 1 + int(1000 // progress.ALIVE_SECONDS)
    assert (
        lines[0]
        == "gate: 2 of 3, neural-cleanse, small patches as triggers: still running, 4:00 elapsed, about 12:40 left"
    )
    assert "done in 16:40" in lines[-1]


def test_what_is_quick_and_moves_nothing_is_no_line(capsys, monkeypatch):
    """Samples that lie on this disk are downloaded from nowhere."""

    def play(_show, at):
        with doing("downloading the samples clean.npz"):
            at.now = 0.1

    assert logged(capsys, monkeypatch, play) == []


def test_what_breaks_off_is_said_as_broken_off(capsys, monkeypatch):
    """An error in a download: its line does not say that it was done."""

    def gone(at):
        at.now = 7
        raise ValueError("gone")

    def play(_show, at):
        with pytest.raises(ValueError, match="gone"), doing("downloading models:/fashion/1"):
            gone(at)

    (said,) = logged(capsys, monkeypatch, play)
    assert said.endswith("broken off after 7.0 s")


def test_a_step_that_comes_again_is_said_once(capsys, monkeypatch):
    """The bundle's files are looked at as the candidate's are, and a worker may say anything twice."""

    def play(show, at):
        expect(PLAN)
        for _ in range(50):
            for step in PLAN:
                show(step, 0, 1)
        with doing("looking at the bundle's files"):
            show("unsafe-pickle", 0, 1)
            at.now += 1

    lines = logged(capsys, monkeypatch, play)
    assert len(lines) == len(PLAN) + 1
    assert "looking at the bundle's files: began" in lines[-1]


HOSTILE = st.one_of(st.text(max_size=80), st.sampled_from(["[/red]", "\x1b[2J", "::set-output name=x::y", "a\nb\r"]))


@given(st.lists(st.tuples(HOSTILE, st.integers(0, 5)), max_size=30))
def test_a_name_that_the_gate_does_not_know_is_shown_nowhere(said):
    """A worker's name for a step is a candidate's word: it is one of the gate's own, or it is nothing."""
    ended = []
    steps = Steps(ended=lambda step, _now, _well: ended.append(step.name))
    steps.expect(PLAN)
    for name, done in said:
        steps.show(name, done, 5)
    steps.expect(())
    assert set(ended) <= set(known_steps())


@given(
    st.text(max_size=200),
    st.integers(1, 250),
    st.floats(0, 1),
    st.floats(0, 1e7),
    st.integers(0, 10**15),
    st.sampled_from(["", "neural-cleanse"]),
)
def test_the_line_is_never_longer_than_the_terminal(words, width, share, spent, size, name):
    """Whatever is downloaded is called, and however narrow it is: one printable line, and both times by name."""
    from rich.cells import cell_len

    step = Step(name, words, 0.0, "10 of 17", share, size)
    said = line(step, spent, -5.0, width)
    assert cell_len(said) < max(2, width)
    assert inert_line(said, limit=1000) == said
    if width >= 80:
        assert "elapsed" in said
        assert ("left" in said) <= (step.left(spent) is not None)


def test_the_line_says_what_runs_how_far_and_both_times():
    """At 80 columns, with nothing cut; the whole time where there is room."""
    step = Step("neural-cleanse", known_steps()["neural-cleanse"], 10.0, "6 of 17", 0.45, 0)
    assert line(step, 42.0, 0.0, 80) == "6 of 17  small patches as triggers  45 %  0:32 elapsed, about 0:39 left"
    assert line(step, 42.0, 0.0, 100).endswith("about 0:39 left, 0:42 in all")
    download = Step("", "downloading models:/fashion/1", 0.0, size=45_200_000)
    assert line(download, 12.0, 0.0, 80) == "downloading models:/fashion/1  45.2 MB  0:12 elapsed, 0:12 in all"
    assert line(None, 12.0, 0.0, 80, "starting a worker") == "starting a worker  0:12 in all"
    assert clock(3723) == "1:02:03"


@pytest.mark.parametrize("step", sorted(known_steps()))
def test_no_step_is_cut_at_eighty_columns(step):
    """With the longest place, a share and both times of minutes."""
    said = line(Step(step, known_steps()[step], 0.0, "19 of 19", 0.99), 1199.0, 0.0, 80)
    assert "…" not in said
    assert "19:59 elapsed" in said


def test_the_line_says_when_the_scan_ends_as_far_as_its_worker_expects():
    """At most; near the end, and without a worker's word, the time so far stands alone."""
    at = Clock()
    steps = Steps(clock=at)
    steps.expect(PLAN)
    at.now = 20.0
    steps.show("expected", 400, 600)
    assert steps.now is None
    steps.show("neural-cleanse", 45, 100)
    at.now = 42.0
    said = line(steps.now, at.now, 0.0, 110, ends=steps.ends)
    assert said.endswith("about 0:27 left, 0:42 of about 10:20 in all")
    assert line(None, 570.0, 0.0, 80, ends=steps.ends) == "working  9:30 in all"
    steps.expect(PLAN)
    assert steps.ends is None


def test_force_color_makes_no_terminal_of_a_log(monkeypatch, capsys):
    """CI systems set it; a log with lines that are redrawn is unreadable."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with progress_bars() as show:
        show("neural-cleanse", 1, 2)
    assert "\x1b" not in capsys.readouterr().err


def test_a_log_that_is_closed_ends_no_check(monkeypatch):
    """The other end of a pipe has gone, in the middle of hours of work."""

    class Gone(io.StringIO):
        def write(self, _text):
            raise BrokenPipeError

        def isatty(self):
            return False

    monkeypatch.setattr(sys, "stderr", Gone())
    with progress_bars() as show:
        show("neural-cleanse", 1, 2)
        show("confirmation", 1, 2)


def test_without_a_watcher_nothing_is_heard_and_nothing_breaks():
    """The service and callers of the library set none; what is done within something is a part of it."""
    with doing("a download") as moved:
        moved(5)
    expect(("a",))
    heard = []

    class Watcher(Steps):
        def begin(self, what):
            heard.append(what)

    with watched_by(Watcher()), doing("the whole"), doing("a part") as moved:
        moved(5)
    assert heard == ["the whole"]


PLAYED = """
import sys, time
from gate.records.activity import doing, expect
from gate.cli.progress import progress_bars
from gate.cli.terminal import tell

with progress_bars() as show:
    tell("pulling models:/fashion/1")
    with doing("downloading models:/fashion/1") as moved:
        for n in range(8):
            moved(n * 1000000)
            time.sleep(0.1)
    expect(("unsafe-pickle", "probe-grid"))
    tell("scanning sha256:0123456789ab… (4 files)" + " and a line that is longer than eighty columns" * 2)
    for n in range(12):
        show("probe-grid", n, 12)
        show("[/red]\\x1b[2Jevil", n, 12)
        time.sleep(0.1)
    tell("marking models:/fashion/1")
print("done")
"""


def on_a_terminal(script, columns, **variables):
    """Run a script on a terminal of so many columns; return what it wrote and the screen as it is at the end."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {"PATH": os.environ["PATH"], "TERM": "xterm", "PYTHONPATH": str(ROOT), **variables}
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", script],
        cwd=ROOT,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    written = b""
    while select.select([ours], [], [], 60)[0]:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end has closed it
            break
        if not part:
            break
        written += part
    os.close(ours)
    assert process.wait(timeout=60) == 0, written.decode()
    return written.decode()


def screen(written, columns):
    """Return the lines that stand on a terminal after all of this was written; enough of one for what rich sends."""
    rows, row, column, pending = [[]], 0, 0, False
    for code, sign in re.findall(r"\x1b\[([0-9;?]*[A-Za-z])|([^\x1b])", written, flags=re.DOTALL):
        if code:
            if code.endswith("A"):
                row = max(0, row - int(code[:-1] or 1))
            elif code == "2K":
                rows[row] = []
            continue
        if sign == "\r":
            column, pending = 0, False
        elif sign == "\n":
            row, pending = row + 1, False
            rows += [[] for _ in range(row + 1 - len(rows))]
        else:
            if pending:
                row, column, pending = row + 1, 0, False
                rows += [[] for _ in range(row + 1 - len(rows))]
            rows[row] += [" "] * (column + 1 - len(rows[row]))
            rows[row][column] = sign
            pending = column == columns - 1
            column += not pending
    return ["".join(each).rstrip() for each in rows]


@pytest.mark.parametrize(
    "variables", [{"LANG": "C.UTF-8"}, {"LANG": "C", "PYTHONIOENCODING": "ascii"}], ids=["utf-8", "ascii"]
)
@pytest.mark.parametrize("columns", [80, 40])
def test_on_a_terminal_one_line_is_redrawn_and_goes(columns, variables):
    """What was told stands above it in its order, nothing is there twice, and no hostile name was drawn."""
    written = on_a_terminal(PLAYED, columns, **variables)
    told = "".join(screen(written, columns))
    assert told.count("pulling models:/fashion/1") == told.count("marking models:/fashion/1") == 1
    assert told.startswith("gate: pulling models:/fashion/1gate: scanning sha256:0123456789ab")
    assert told.endswith("done")
    assert "elapsed" not in told
    assert "evil" not in written
    assert "\x1b[2J" not in written
    drawn = {shown.strip() for shown in re.split(r"[\r\n]|\x1b\[[0-9;?]*[A-Za-z]", written)}
    assert any("downloading models:" in shown for shown in drawn)
    if columns == 80:
        assert any(re.fullmatch(r"2 of 2  answers to fixed probes  \d+ %  \d+:\d\d elapsed.*", s) for s in drawn), drawn
