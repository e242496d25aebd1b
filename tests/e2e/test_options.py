"""Every option can be set by a GATE_… variable that its --help shows."""

import click
from click.testing import CliRunner

from gate.cli.main import main
from tests.cli.every import commands

VALUES = {
    click.Choice: lambda kind: kind.choices[-1],
    click.IntRange: lambda kind: "7",
    click.FloatRange: lambda kind: str(min(9.5, 9.5 if kind.max is None else kind.max)),
}
OPTIONS = {
    f"{' '.join(path)} {option.opts[-1]}": (path, command, option)
    for path, command in commands()
    for option in command.params
    # Of the others one prints and exits, as --help does, and one is a worker's own.
    if path and isinstance(option, click.Option) and option.expose_value and not option.hidden
}


def _joined(*words):
    return "_".join(words).replace("-", "_").upper()


def _variables(option):
    return [option.envvar] if isinstance(option.envvar, str) else list(option.envvar or ())


def test_an_option_names_its_variable_in_the_help():
    """The variable is GATE_, the command's words where the option means something else there, and the option's name."""
    helps = {path: CliRunner().invoke(main, [*path, "--help"]).output for path, _, _ in OPTIONS.values()}
    wrong = {}
    for key, (path, _, option) in OPTIONS.items():
        name = option.opts[0].removeprefix("--")
        allowed = {_joined("gate", *some, name) for some in ((), path, *((word,) for word in path))}
        variables = _variables(option)
        if not variables or variables[0] not in allowed or variables[0] not in helps[path]:
            wrong[key] = variables
    assert len(OPTIONS) > 200
    assert wrong == {}


def test_an_option_is_set_by_its_variable(monkeypatch, tmp_path):
    """The command's parsed value is the variable's, not the default."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)
    wrong = {}
    for key, (_, command, option) in OPTIONS.items():
        with monkeypatch.context() as environment:
            plain, text, found = _set_by_its_variable(command, option, environment, tmp_path)
        taken = str(found) == text or isinstance(found, bool) or float(found) == float(text)
        if found == plain or not taken:
            wrong[key] = (plain, text, found)
    assert wrong == {}


def _set_by_its_variable(command, option, environment, folder):
    """Return an option's default, the text that its variable is set to, and the value that the command then has."""
    arguments = ["x" for param in command.params if isinstance(param, click.Argument)]
    for other in command.params:
        if isinstance(other, click.Option) and other.required and other is not option:
            arguments += [other.opts[0], _value(other.type, folder)]
    plain = _parsed(command, arguments, resilient_parsing=option.required)[option.name]
    text = str(int(not plain)) if option.is_flag else _value(option.type, folder)
    environment.setenv(_variables(option)[0], text)
    found = _parsed(command, arguments)[option.name]
    return plain, text, found[0] if option.multiple else found


def _parsed(command, arguments, **settings):
    """Return what a command under `gate` makes of its words."""
    gate = click.Context(main, **main.context_settings)
    return command.make_context(command.name, list(arguments), parent=gate, **settings).params


def _value(kind, folder):
    """Return a text that the type takes; of a path that must be there, one that is."""
    if isinstance(kind, click.Path) and kind.exists:
        (folder / "file").touch()
        return str(folder if kind.dir_okay else folder / "file")
    return next((make(kind) for type_, make in VALUES.items() if isinstance(kind, type_)), "elsewhere")
