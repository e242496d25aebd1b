"""Text from a worker, made inert: bounded, printable, and no command to a terminal or to a CI runner.

What a jailed process prints is candidate-controlled. CI runners read their commands from a job's log (`::set-output`,
`##vso[…]`), terminals obey escape sequences, and right-to-left marks can forge a line's meaning.
"""

import re

_ESCAPE_SEQUENCE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])|\x9b[0-?]*[ -/]*[@-~]"
)
_COMMAND_START = re.compile(r"^(\s*:):")


def inert_line(text: str, *, limit: int) -> str:
    """Return one printable line of at most `limit` characters in which no CI runner finds a command."""
    line = _ESCAPE_SEQUENCE.sub("", text).replace("\t", " ")
    line = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in line[: limit + 1])
    # GitHub's runner obeys '::' at a line's start, its older form and Azure's obey '##' anywhere in it.
    line = _COMMAND_START.sub(r"\1 :", line.replace("##", "# #").replace("##", "# #"))
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def inert_lines(raw: bytes, *, limit: int, line_limit: int = 500) -> str:
    """Return the last `limit` bytes of a stream as inert lines; the first line may be cut."""
    text = raw[-limit:].decode("utf-8", errors="replace")
    return "\n".join(inert_line(line, limit=line_limit) for line in text.splitlines())
