"""`gate completion`: the script that lets a shell complete commands, options and their values."""

import click

_WHERE = {"bash": "~/.bashrc (bash 4.4 or newer)", "zsh": "~/.zshrc", "fish": "~/.config/fish/config.fish"}
_LINES = {
    "bash": 'eval "$(gate completion bash)"',
    "zsh": 'eval "$(gate completion zsh)"',
    "fish": "gate completion fish | source",
}


@click.command(epilog="\b\n" + "\n".join(f"{shell:5} {_LINES[shell]:32} in {where}" for shell, where in _WHERE.items()))
@click.argument("shell", type=click.Choice(list(_WHERE)))
def completion(shell: str) -> None:
    """Print the script that makes SHELL complete commands, options and values of `gate`.

    One line in the shell's own start file is enough:
    """
    from click.shell_completion import get_completion_class

    context = click.get_current_context()
    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(context.find_root().command, {}, "gate", "_GATE_COMPLETE").source())
