"""`--help` at any width: no line is broken inside a word, an option's name or a variable's."""

import shutil

import click

_WIDEST, _NARROWEST = 80, 38
"""The latter holds the longest variable's name; click itself stops at 50."""
_NARROW = 70
"""Below so many columns the words about an option stand below it, not beside it."""
_LONG = 20
"""A first column of this width leaves too little beside it there."""
_HYPHEN, _WHOLE = "-", "\ue000"
"""Within click's wrapping a hyphen is where a line may be broken; this sign, in its place, is not."""


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
    """Click's context with that formatter."""

    formatter_class = WholeWords


def whole_words(command: click.Command) -> None:
    """Let a command, and those below it, write their help so."""
    command.context_class = Context
    if isinstance(command, click.Group):
        for below in command.commands.values():
            whole_words(below)
