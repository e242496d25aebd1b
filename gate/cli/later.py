"""The one command that publishes a verdict later: what it needs of the command that could not, as it was typed."""

import re
import shlex
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

_SECRET = re.compile(r"://[^/@\s]+@|-----BEGIN")
"""A password in an address, or a key's own text."""
_GIVEN = frozenset({ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT})


def publish_command(directory: Path) -> str:
    """Return `gate publish DIRECTORY` with the options of registry and key that the command at hand had.

    Those of the environment are put in too, which may have been set for that command alone. What holds a secret is not
    printed: its variable is named.
    """
    from gate.cli.steps import publish  # of which this is a command line; it imports `check`, as this is imported by it

    words, unsaid = ["gate", "publish", str(directory)], []
    for option in publish.params:
        if isinstance(option, click.Option) and (given := _given(str(option.name))) is not None:
            value = str(given)
            if _SECRET.search(value):
                unsaid.append(_variable(option))
            else:
                words += [option.opts[0], value]
    note = f"  # with {' and '.join(unsaid)} set, which hold what is not shown" if unsaid else ""
    return shlex.join(words) + note


def _given(name: str) -> Any:
    """Return an option of the command at hand; None where it has none of that name, or its default."""
    context = click.get_current_context(silent=True)
    if context is None or context.get_parameter_source(name) not in _GIVEN:
        return None
    return context.params.get(name) or None


def _variable(option: click.Option) -> str:
    names = option.envvar
    return names if isinstance(names, str) else str(names[0]) if names else str(option.name)
