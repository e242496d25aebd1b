"""Every option can be set by a GATE_… variable that its --help shows."""

import click
import pytest
from click.testing import CliRunner

from gate.cli.main import main

VALUES = {
    click.Choice: lambda kind: kind.choices[-1],
    click.IntRange: lambda kind: "7",
    click.FloatRange: lambda kind: str(min(9.5, 9.5 if kind.max is None else kind.max)),
}
OPTIONS = [
    pytest.param(command, option, id=f"{name} {option.opts[-1]}")
    for name, command in sorted(main.commands.items())
    for option in command.params
    if isinstance(option, click.Option) and option.expose_value  # the others print and exit, as --help does
]


def _variables(option):
    return [option.envvar] if isinstance(option.envvar, str) else list(option.envvar or ())


@pytest.mark.parametrize(("command", "option"), OPTIONS)
def test_an_option_names_its_variable_in_the_help(command, option):
    """The variable is GATE_, the command's name where the option means something else there, and the option's name."""
    name = option.opts[0].removeprefix("--").replace("-", "_").upper()
    expected = _variables(option)[0]
    assert expected in {f"GATE_{name}", f"GATE_{command.name.upper()}_{name}"}
    shown = CliRunner().invoke(command, ["--help"]).output
    assert expected in shown


@pytest.mark.parametrize(("command", "option"), OPTIONS)
def test_an_option_is_set_by_its_variable(command, option, monkeypatch, tmp_path):
    """The command's parsed value is the variable's, not the default."""
    arguments = ["x" for param in command.params if isinstance(param, click.Argument)]
    for other in command.params:
        if isinstance(other, click.Option) and other.required and other is not option:
            arguments += [other.opts[0], _value(other.type, tmp_path)]
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)
    plain = command.make_context(command.name, list(arguments), resilient_parsing=option.required).params[option.name]
    text = str(int(not plain)) if option.is_flag else _value(option.type, tmp_path)
    monkeypatch.setenv(_variables(option)[0], text)
    found = command.make_context(command.name, list(arguments)).params[option.name]
    found = found[0] if option.multiple else found
    assert found != plain
    assert str(found) == text or isinstance(found, bool) or float(found) == float(text)


def _value(kind, folder):
    """Return a text that the type takes; of a path that must be there, one that is."""
    if isinstance(kind, click.Path) and kind.exists:
        (folder / "file").touch()
        return str(folder if kind.dir_okay else folder / "file")
    return next((make(kind) for type_, make in VALUES.items() if isinstance(kind, type_)), "elsewhere")
