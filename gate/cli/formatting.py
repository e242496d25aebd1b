"""`--help` at any width, without a line break inside a word or a name."""

import shutil

import click

_WIDEST, _NARROWEST = 80, 38
"""Most and fewest columns; the fewest hold the longest variable's name (click itself stops at 50)."""
_NARROW = 70
"""Columns below which an option's description stands below the option, if its name is long."""
_LONG = 18
"""Columns of a long name."""
_HYPHEN, _WHOLE = "-", "\ue000"
"""A hyphen, at which click may break a line, and the character that stands in for it meanwhile."""


class WholeWords(click.HelpFormatter):
    """Click's formatter, which breaks lines between words alone."""

    def __init__(self, indent_increment: int = 2, width: int | None = None, max_width: int | None = None) -> None:
        """Take the terminal's width, within reason, where none is given."""
        if width is None:
            width = max(min(shutil.get_terminal_size().columns, max_width or _WIDEST) - 2, _NARROWEST)
        super().__init__(indent_increment, width, max_width)

    def write_text(self, text: str) -> None:
        """Write a paragraph."""
        super().write_text(text.replace(_HYPHEN, _WHOLE))

    def write_dl(self, rows: list[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:  # type: ignore[override]
        """Write names with what they mean."""
        rows = [(name, text.replace(_HYPHEN, _WHOLE)) for name, text in rows]
        if self.width < _NARROW and max((len(name) for name, _ in rows), default=0) > _LONG:
            col_max = 2
        super().write_dl(rows, col_max, col_spacing)

    def getvalue(self) -> str:
        """Return all that was written."""
        return super().getvalue().replace(_WHOLE, _HYPHEN)


class Context(click.Context):
    """Click's context with `WholeWords`."""

    formatter_class = WholeWords


def whole_words(command: click.Command) -> None:
    """Format the help of a command and its subcommands by `WholeWords`, under both names of the option.

    The names are each command's own: click keeps the option that it made first, and so the names of a context above
    it would depend on how a command was called before.
    """
    command.context_class = Context
    command.context_settings["help_option_names"] = ["-h", "--help"]
    if isinstance(command, click.Group):
        for below in command.commands.values():
            whole_words(below)
