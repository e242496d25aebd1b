import hashlib
import json
import sys
from pathlib import Path

import pytest
from forging import approvable

from gate.check.files import CheckFiles
from gate.cli.main import run
from gate.records.finding import Decision
from tests.corpus.case import folder

FAKE = Path(__file__).with_name("fake_worker.py")
CHANGE = "value = json.loads(report)\n{}\nleave(json.dumps(value))"

ATTACKS = {
    "a report on other detectors": CHANGE.format(
        "value['outcomes'] = {'soothing': value['outcomes']['neural-cleanse']}"
    ),
    "a metric of its own": CHANGE.format(
        "value['outcomes']['neural-cleanse']['measurements'] = [{'metric': 'health', 'value': 1.0}]"
    ),
    "other options": CHANGE.format("value['outcomes']['neural-cleanse']['options'] = {'steps': 1}"),
    "a changed outcome of the inspector": CHANGE.format(
        "value['outcomes']['unsafe-pickle'] = {'status': 'skipped', 'reason': 'no need'}"
    ),
    "references of no bank": CHANGE.format(
        "value['references'] = [{'path': 'a.pt2', 'sha256': '0' * 64, 'used': True}]"
    ),
    "versions that were not given": CHANGE.format("value['previous'] = [{'digest': 'sha256:' + '0' * 64}]"),
    "a plan for other detectors": CHANGE.format(
        "value['plan'] = {'whole': {'least': 1, 'most': 2}, 'detectors': {'soothing': {'least': 1, 'most': 2}}}"
    ),
    "a plan of negative times": CHANGE.format("value['plan'] = {'whole': {'least': -2, 'most': -1}, 'detectors': {}}"),
    "a detector left out for time that the policy does not require": CHANGE.format(
        "value['outcomes']['head-indicators'] = {'status': 'skipped', 'reason': 'late', 'short_of_time': True}"
    ),
    "no measurement": CHANGE.format("value['outcomes']['neural-cleanse']['measurements'] = []"),
    "a missing detector": CHANGE.format("del value['outcomes']['neural-cleanse']"),
    "an unknown key": CHANGE.format("value['decision'] = 'approved'"),
    "another schema": "leave('[\"approved\"]')",
    "no report and exit code 0": "sys.exit(0)",
    "an empty report": "leave('')",
    "a part of a report": "leave(report[:-20])",
    "a report that is not complete": CHANGE.format("value['complete'] = False"),
    "not a number": "leave(report.replace('1.0', 'NaN', 1))",
    "an infinite number": "leave(report.replace('1.0', '-Infinity', 1))",
    "a number that overflows": "leave(report.replace('1.0', '1e999', 1))",
    "a number of a million digits": "leave(report.replace('1.0', '1' * 1_000_000, 1))",
    "a key that stands twice": "leave('{\"complete\":true,' + report[1:])",
    "deep nesting": "leave('[' * 1_000_000)",
    "nesting just below what a parser bears": CHANGE.format(
        "value['outcomes']['neural-cleanse']['options'] = json.loads('[' * 940 + ']' * 940)"
    ),
    "lone surrogates": CHANGE.format("value['device'] = chr(0xD800)"),
    "other bytes": "result.write_bytes(bytes(range(256)))",
    "a gigabyte of report": "result.touch(); os.truncate(result, 1 << 30)",
    "a report of forty megabytes": CHANGE.format("value['versions'] = {(40 << 20) * 'v': ''}"),
    "findings without end": CHANGE.format(
        "value['outcomes']['neural-cleanse']['measurements'] += ["
        "{'metric': 'size-ratio', 'value': 0, 'location': {'kind': 'class', 'name': str(n)}} for n in range(4000)]"
    ),
    "a gigabyte of output": (
        "leave(report)\ntry:\n    while True: sys.stdout.write('x' * (1 << 20))\nexcept BrokenPipeError: pass"
    ),
    "endless lines": "leave(report)\nfor _ in range(200_000): print('{}')",
    "a gigabyte of errors": "leave(report)\nwhile True: sys.stderr.write('x' * (1 << 20))",
    "a hang": "leave(report)\ntime.sleep(600)",
    "a hang that ignores signals": (
        "leave(report)\nfor number in range(1, 32):\n"
        "    try: signal.signal(number, signal.SIG_IGN)\n"
        "    except OSError: pass\ntime.sleep(600)"
    ),
    "a kill": "leave(report)\nos.kill(os.getpid(), signal.SIGKILL)",
    "another exit code": "leave(report)\nsys.exit(1)",
    "the exit code of a broken jail": "print('a word', flush=True)\nleave(report)\nsys.exit(77)",
    "a link to another file": "(prepared / 'elsewhere').write_text(report)\nresult.symlink_to(prepared / 'elsewhere')",
    "a pipe": "os.mkfifo(result)",
    "a directory": "result.mkdir()",
    "output after death": (
        "if os.fork() == 0:\n    time.sleep(0.3)\n    leave(report)\n    print('{}', flush=True)\n    os._exit(0)"
    ),
    "a scratch that is hard to remove": (
        "os.chdir(scratch)\nfor _ in range(3000):\n    os.mkdir('d')\n    os.chdir('d')"
    ),
}
"""What each forger runs, after modules `json`, `os`, `signal`, `sys` and `time` are imported."""


@pytest.fixture
def forger(tmp_path, samples, monkeypatch):
    """Return the function that runs `gate check` with a forger as its worker; it gives exit code and report folder."""
    prepared, root, reports = tmp_path / "prepared", tmp_path / "model", tmp_path / "report"
    prepared.mkdir()
    root.mkdir()
    folder(root, {})
    digest = hashlib.sha256(samples.read_bytes()).hexdigest()
    for role in ("inspector", "writer", "scan"):
        (prepared / f"{role}.json").write_bytes(approvable(role, digest).canonical_json())
    monkeypatch.setattr(
        "gate.check.workers.worker_command",
        lambda _module, scratch, _digest: [sys.executable, "-I", "-B", str(FAKE), scratch, str(prepared)],
    )
    monkeypatch.setattr("gate.check.workers.GRACE_SECONDS", 1.0)
    # These two change the process that runs the tests; tests/jail holds what they promise.
    monkeypatch.setattr("gate.jail.launch.protect_parent", lambda: None)
    monkeypatch.setattr("gate.cli.main.stop_on_termination", lambda: None)

    def check(attack):
        (prepared / "attack.py").write_text(f"import json, os, signal, sys, time\n{attack}\n")
        options = ["--no-mark", "--samples", str(samples), "--report-dir", str(reports), "--deadline", "1"]
        monkeypatch.setattr(sys, "argv", ["gate", "check", str(root), *options])
        return run(), reports

    return check


def test_the_report_that_the_forgers_spoil_would_be_approved(forger):
    """The control: left as it is, the forged report passes every limit, so that each refusal has one cause."""
    code, reports = forger("leave(report)")
    assert code == 0
    assert json.loads((reports / "verdict.json").read_text())["decision"] == "approved"


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_forged_result_ends_as_flagged(attack, forger):
    """Whatever a worker leaves instead of an honest report: exit code 1, flagged, with reports that can be read."""
    code, reports = forger(ATTACKS[attack])
    assert code == 1
    verdict = json.loads((reports / "verdict.json").read_text())
    assert verdict["decision"] == "flagged"
    assert verdict["findings"]
    assert CheckFiles(reports).report().decision is Decision.FLAGGED


HOSTILE_TEXT = (
    "\x1b]0;owned\x07\x1b[2J::set-output name=decision::approved\n::add-mask::x\n##vso[task.complete]\r\u202eevil"
)


def test_commands_and_escapes_in_a_workers_text_reach_no_log(forger, capfd):
    """Progress, last words, problems and notes that are commands to a runner or a terminal come out inert."""
    text = ascii(HOSTILE_TEXT)
    code, reports = forger(
        f"text = {text}\n"
        "print(text, flush=True)\n"
        "print(json.dumps({'step': text, 'done': 0, 'total': 1}), flush=True)\n"
        "print(json.dumps({'step': '[/red][link=x]', 'done': 0, 'total': 1}), flush=True)\n"
        "sys.stderr.write(text)\n"
        "value = json.loads(report)\n"
        "value['problems'] = [text]\nvalue['device'] = text\n"
        "value['outcomes']['neural-cleanse'] = {'status': 'failed', 'error': text}\n"
        "leave(json.dumps(value))\nsys.exit(1)"
    )
    seen = "".join(capfd.readouterr())
    assert code == 1
    assert "\x1b" not in seen.replace("\x1b[0m", "")
    assert "\u202e" not in seen
    assert not [line for line in seen.splitlines() if line.lstrip().startswith("::") or "##vso[" in line]
    for name in ("report.md", "report.html"):
        page = (reports / name).read_text()
        assert "\x1b" not in page
        assert "\u202e" not in page


def test_a_terminal_shows_no_step_that_a_worker_made_up(forger, monkeypatch, capfd):
    """A step's name is one of the gate's own or it is nothing: it neither ends the check nor draws anything."""
    monkeypatch.setattr("gate.cli.progress.is_terminal", lambda: True)
    code, _ = forger(
        "print(json.dumps({'step': '[/red]', 'done': 0, 'total': 1}), flush=True)\n"
        "print(json.dumps({'step': 'neural-cleanse', 'done': 1, 'total': 1 << 39}), flush=True)\n"
        "for n in range(5000): print(json.dumps({'step': f'evil{n}', 'done': 0, 'total': 1}), flush=True)\n"
        "leave(report)\nsys.exit(1)"
    )
    assert code == 1
    seen = capfd.readouterr().err
    assert "in all" in seen
    assert "evil" not in seen
    assert "[/red]" not in seen
