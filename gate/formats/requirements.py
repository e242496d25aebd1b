"""The environment files of a model (pip lines, conda, virtualenv), by the grammar of what MLflow writes.

A line of pip is a distribution's name from a list, with extras, version bounds, a marker, hashes. Anything else (a URL,
a path, an option, a direct reference) makes the deployer's installer fetch or run what the candidate chose. Characters
are restricted first, since installers join, decode and expand lines before they parse them: no backslash, no coding
line, only printable ASCII. Then `packaging`, the parser that pip vendors, reads the line.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from gate.formats.mlmodel import read_yaml
from gate.formats.packages import CHANNELS, CONDA_PACKAGES, PACKAGES
from gate.formats.source import UnreadableError

MAX_BYTES = 512 << 10
_MAX_LINE = 2000
_MAX_LINES = 10_000
_COMMENT = re.compile(r"(^|[ \t])#.*$")
_HASHES = re.compile(r"([ \t]+--hash=sha(256|384|512):[0-9a-f]{64,128}){1,64}[ \t]*$")
_BUILD: Final = frozenset({"pip", "setuptools", "wheel"})
_PYTHON = re.compile(r"[0-9]{1,2}(\.[0-9]{1,3}){1,2}", flags=re.ASCII)
_CONDA = re.compile(
    r"([A-Za-z0-9_][A-Za-z0-9_.-]{0,100}) ?((==?|>=|<=|~=|!=|<|>)[A-Za-z0-9.*,<>=!_+ -]{1,100})?", re.ASCII
)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,255}", re.ASCII)


@dataclass(frozen=True)
class Line:
    """One requirement that is not what MLflow writes, or, with `unpinned`, one without a version."""

    text: str
    why: str = ""
    unpinned: bool = False

    def __str__(self) -> str:
        return f"{self.text[:100]!r}: {self.why}" if self.why else self.text[:100]


def odd_lines(text: str, allowed: Collection[str] = ()) -> Iterator[Line]:
    """Yield what is odd about the lines of a pip requirements or constraints file."""
    if fault := _fault(text):
        yield Line(text[:100], fault)
        return
    for line in re.split(r"\r?\n", text):
        bare = _COMMENT.sub("", line).strip(" \t")
        if bare and bare != "-c constraints.txt":  # MLflow writes that if the trainer gave constraints
            yield from _requirement(bare, allowed)


def odd_in_file(path: str, raw: bytes, allowed: Collection[str] = ()) -> Iterator[Line]:
    """Yield what is odd in an environment file of that name; bytes that are no such file raise `UnreadableError`."""
    name = path.rpartition("/")[2]
    if len(raw) > MAX_BYTES:
        raise UnreadableError(f"larger than {MAX_BYTES} bytes")
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError:
        raise UnreadableError("holds characters beyond ASCII, which MLflow does not write there") from None
    if name == "environment_variables.txt":
        names = (line for line in text.splitlines() if line and not line.startswith("#"))
        yield from (Line(name, "no name of a variable") for name in names if not _VARIABLE.fullmatch(name))
    elif name.endswith(".txt"):
        yield from odd_lines(text, allowed)
    else:
        value = read_yaml(raw, what=path)
        if not isinstance(value, dict):
            raise UnreadableError(f"{path}: expected a mapping")
        grammar = _CONDA_KEYS if name == "conda.yaml" else _VIRTUALENV_KEYS
        for key, content in value.items():
            read = grammar.get(str(key))
            if read is None:
                yield Line(f"{key}: {content}", f"MLflow writes {', '.join(grammar)} there")
            else:
                yield from read(content, allowed)


def _fault(text: str) -> str:
    """Return why installers could read a text differently; empty if they could not."""
    if not all(character in "\t\r\n" or " " <= character <= "~" for character in text):
        return "MLflow writes printable ASCII alone"
    if "\r" in text.replace("\r\n", ""):
        return "a line that ends in a bare carriage return; MLflow writes none"
    if "\\" in text:
        return "a backslash, by which an installer joins lines; MLflow writes none"
    if re.search(r"#.*coding[:=]", text):
        return "a comment that names an encoding, in which an installer reads the file; MLflow writes none"
    if text.count("\n") > _MAX_LINES:
        return f"more than {_MAX_LINES} lines"
    return ""


def _requirement(bare: str, allowed: Collection[str]) -> Iterator[Line]:
    if len(bare) > _MAX_LINE:
        yield Line(bare, f"longer than {_MAX_LINE} characters")
        return
    plain = _HASHES.sub("", bare)
    if fault := _beyond_a_name(plain):
        yield Line(bare, fault)
        return
    try:
        read = Requirement(plain)
    except (InvalidRequirement, RecursionError):
        yield Line(bare, "MLflow writes a package's name and version, which installs from the configured index")
        return
    if read.url is not None:
        yield Line(bare, "it installs from an address; MLflow writes a package's name and version")
    elif (name := canonicalize_name(read.name)) not in PACKAGES and name not in allowed:
        yield Line(bare, f"{name} is not among the packages that may be installed; {_allow(name)}")
    elif not read.specifier:
        yield Line(bare, unpinned=True)


def _beyond_a_name(plain: str) -> str:
    """Return what pip would act on before `packaging` reads a line; empty if nothing.

    pip splits options off by blanks, expands variables, and takes a line for a file by its ending: `torch===a.zip`, by
    PEP 440 a version, is a file for pip.
    """
    if "===" in plain:
        return "MLflow writes a version with ==; after === installers take any text, a file's name among them"
    if "$" in plain:
        return "an installer puts variables of its environment in there; MLflow writes none"
    if any(part.startswith("-") for part in plain.split()):
        return "an option; MLflow writes a package's name and version, which installs from the configured index"
    return ""


def _allow(name: str) -> str:
    return f"once you know it, add it to the policy: consumer-hazards: {{options: {{allowed-packages: [{name}]}}}}"


def _name(content: Any, _: Collection[str]) -> Iterator[Line]:
    if not (isinstance(content, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,100}", content, re.ASCII)):
        yield Line(f"name: {content}", "MLflow writes the name of an environment, such as mlflow-env")


def _channels(content: Any, _: Collection[str]) -> Iterator[Line]:
    for item in _items(content):
        if not (isinstance(item, str) and item in CHANNELS):
            yield Line(f"channel {item}", f"MLflow writes {', '.join(sorted(CHANNELS))}")


def _conda(content: Any, allowed: Collection[str]) -> Iterator[Line]:
    for item in _items(content):
        if isinstance(item, dict) and set(item) == {"pip"}:
            yield from _pip(item["pip"], allowed)
        elif not isinstance(item, str) or (match := _CONDA.fullmatch(item)) is None:
            yield Line(str(item), "MLflow writes a package's name and version, or a list of pip's")
        elif (name := canonicalize_name(match[1])) not in CONDA_PACKAGES | PACKAGES and name not in allowed:
            yield Line(item, f"{name} is not among the packages that may be installed; {_allow(name)}")
        elif not match[2]:
            yield Line(item, unpinned=True)


def _pip(content: Any, allowed: Collection[str]) -> Iterator[Line]:
    for item in _items(content):
        if not isinstance(item, str) or "\n" in item or "\r" in item:
            yield Line(str(item), "MLflow writes one requirement as one text")
        else:
            yield from odd_lines(item, allowed)


def _python(content: Any, _: Collection[str]) -> Iterator[Line]:
    if not (isinstance(content, str) and _PYTHON.fullmatch(content)):
        yield Line(f"python: {content}", "MLflow writes Python's version")


def _build(content: Any, _: Collection[str]) -> Iterator[Line]:
    for item in _items(content):
        read = [] if not isinstance(item, str) else list(odd_lines(item))
        if not isinstance(item, str) or "\n" in item or any(not line.unpinned for line in read):
            yield Line(str(item), "MLflow writes pip, setuptools and wheel with their versions")
        elif canonicalize_name(Requirement(item).name) not in _BUILD:
            yield Line(item, "MLflow writes pip, setuptools and wheel alone")


def _own(content: Any, _: Collection[str]) -> Iterator[Line]:
    for item in _items(content):
        if item != "-r requirements.txt":
            yield Line(str(item), "MLflow writes '-r requirements.txt'")


_CONDA_KEYS: Final = {"name": _name, "channels": _channels, "dependencies": _conda}
_VIRTUALENV_KEYS: Final = {"python": _python, "build_dependencies": _build, "dependencies": _own}


def _items(content: Any) -> list[Any]:
    if content is None:
        return []
    return content if isinstance(content, list) else [content]
