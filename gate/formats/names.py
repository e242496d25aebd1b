"""File names that different systems, shells or people would read differently."""

import unicodedata
from collections.abc import Iterator

MAX_PATH = 512
MAX_PART = 255
_RESERVED = {"aux", "con", "nul", "prn"} | {f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)}
_FORBIDDEN = frozenset('<>:"|?*\\')


def odd_name(path: str) -> Iterator[str]:
    """Yield what is odd about one relative path."""
    if len(path) > MAX_PATH or any(len(part.encode("utf-8", "replace")) > MAX_PART for part in path.split("/")):
        yield "a name that is too long"
    if not all(character.isprintable() for character in path):
        yield "control or invisible characters"
    if unicodedata.normalize("NFKC", path) != path:
        yield "characters that some systems take for others (it is not its own NFKC form)"
    path = unicodedata.normalize("NFKC", path)  # a reader that normalises takes a full-width solidus for a solidus
    if path.startswith(("/", "~")) or (len(path) > 1 and path[1] == ":"):
        yield "an absolute path"
    if _FORBIDDEN & set(path):
        yield "characters that not every system allows"
    for part in path.split("/"):
        if part in ("", ".", ".."):
            yield "a path that walks out of its folder"
        elif part.endswith((".", " ")) or part.startswith((" ", "-")):
            yield "a name that begins or ends oddly"
        elif part.split(".")[0].lower() in _RESERVED:
            yield "a name that Windows reserves"


def collisions(paths: tuple[str, ...]) -> Iterator[str]:
    """Yield the paths that name the same file for systems that ignore case or composition."""
    seen: dict[str, str] = {}
    for path in sorted(paths):
        folded = unicodedata.normalize("NFKC", path).casefold()
        if folded in seen:
            yield path
        seen.setdefault(folded, path)
