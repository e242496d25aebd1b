"""`gate completion`: a real bash completes commands, options and values by the script that is printed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from gate.cli.main import main
from tests.e2e.command import ROOT

ASKED = """
eval "$(gate completion bash)"
COMP_WORDS=({words}) COMP_CWORD={place}
_gate_completion gate
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def shell(tmp_path):
    """Return a function that asks a bash, which finds `gate` on its path, what it would complete."""
    program = tmp_path / "gate"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -W ignore -m gate "$@"\n')
    program.chmod(0o755)

    def complete(*words):
        script = ASKED.format(words=" ".join(f"'{word}'" for word in words), place=len(words) - 1)
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}
        ended = subprocess.run(
            ["bash", "--norc", "-c", script], env=environment, capture_output=True, text=True, check=True, timeout=120
        )
        return ended.stdout.split()

    return complete


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_a_real_bash_completes_commands_options_and_values(shell):
    """As somebody types and presses Tab."""
    assert shell("gate", "ver") == ["verify"]
    assert "--samples" in shell("gate", "check", "--sam")
    assert shell("gate", "check", "--device", "cu") == ["cuda"]
    assert shell("gate", "review", "app") == ["approve"]


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script_and_a_line(name):
    """The script names the gate's own variable; the help has the line and where it goes."""
    ended = CliRunner().invoke(main, ["completion", name], catch_exceptions=False)
    assert (ended.exit_code, "_GATE_COMPLETE" in ended.stdout) == (0, True)
    shown = CliRunner().invoke(main, ["completion", "--help"], catch_exceptions=False).stdout
    page = (Path(ROOT) / "docs" / "how-to" / "completion.md").read_text()
    for text in (shown, page):
        assert f"gate completion {name}" in text
    assert "gate completion" in " ".join(CliRunner().invoke(main, ["--help"]).stdout.split())
