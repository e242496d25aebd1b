"""`--help` of every command at every width: the same words, none of them broken."""

import re

import pytest
from click.testing import CliRunner

from gate.cli.main import main
from tests.cli.every import commands

WIDE = 2000


EVERY = dict(commands())


def help_at(path: tuple[str, ...], width: int) -> str:
    """Return the help of a command as a terminal of that width gets it."""
    ended = CliRunner().invoke(main, [*path, "--help"], terminal_width=width, max_content_width=width)
    assert ended.exit_code == 0, ended.output
    return ended.output


def words(text: str) -> list[str]:
    """Return the words; what a group says of each of its commands is cut to its line."""
    return re.sub(r"\nCommands:\n(  .*\n)+", "", text).split()


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
@pytest.mark.parametrize("width", [38, 50, 78])
def test_no_word_is_broken_at_any_width(path, width):
    """An option's name or a variable's can be copied from every terminal."""
    assert words(help_at(path, width)) == words(help_at(path, WIDE))


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_every_line_fits_eighty_columns(path):
    """Examples too, which no formatter wraps."""
    assert max(map(len, help_at(path, 80).splitlines())) <= 80


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_a_command_has_both_names_of_help_however_it_was_called_first(path, monkeypatch):
    """Alone, as tests call it, and below the group: click keeps the option that it made first."""
    monkeypatch.setattr(EVERY[path], "_help_option", None)  # as if it was never called
    alone = CliRunner().invoke(EVERY[path], ["-h"])
    assert alone.exit_code == 0, alone.output
    assert "-h, --help" in alone.output
    assert "-h, --help" in help_at(path, WIDE)
